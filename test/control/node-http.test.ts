/** node:http as the HTTP server: the contract suite. */
import { createNodeHttpServer } from "../../src/control/node-http.ts";
import { httpContract } from "./http-contract.ts";

httpContract("node:http", createNodeHttpServer);
