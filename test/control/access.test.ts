/**
 * Who may do what. Goal: no route is open by mistake. Method: the route table itself is walked; every route is asked by
 * every role and by nobody, over HTTP, and the answer compared with what the role may do by definition.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ApiKeys } from "../../src/control/api-keys.ts";
import { type ControlOptions, controlParts } from "../../src/control/control.ts";
import {
  ADMINISTRATOR,
  answerOf,
  basic,
  fetchAs,
  PUBLISHER,
  QUEUES_CONFIG,
  type Running,
  startControl,
  VIEWER,
} from "./fixture.ts";
import { KeepingWorkers } from "./keeping-workers.ts";

const workers = new KeepingWorkers();
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const options: ControlOptions = {
  workers,
  apiKeys: [],
  queuesConfig: QUEUES_CONFIG,
  nodeName: "n",
  payloadBytesMax: 1,
  access: {
    inForce: async () => ({ anonymous: true, users: null, rules: null }),
    reload: async () => ({ anonymous: true, users: null, rules: null }),
  },
  nowMs: () => 0,
  log,
  onFault: () => undefined,
};
const { routes } = controlParts(options, () => true).routes;

const scoped = (name: string, role: "administrator" | "viewer" | "publisher", scopes: readonly string[]) => ({
  key: name,
  secret: `${name}-secret`,
  role,
  scopes,
});
const SCOPES = [
  scoped("only-publish", "administrator", ["publish"]),
  scoped("only-connections", "administrator", ["connections"]),
  scoped("nothing", "administrator", []),
  scoped("nonsense", "administrator", ["no-such-scope"]),
];

let running: Running;
beforeAll(async () => {
  running = await startControl({ apiKeys: [ADMINISTRATOR, VIEWER, PUBLISHER, ...SCOPES] });
});
afterAll(() => running.control.close(0));

const pathOf = (pattern: string): string => pattern.replace("/api/v5", "").replace(":name", "no-such-queue");
const isDenied = (status: number): boolean => status === 401 || status === 403;

describe("the matrix of roles and routes", () => {
  it("covers the whole API", () => {
    expect(routes.length).toBeGreaterThan(20);
    expect(routes.filter(({ access }) => access === "public").map(({ pattern }) => pattern)).toEqual([
      "/status",
      "/api/v5/status",
    ]);
  });

  for (const { method, pattern, access } of routes) {
    if (access === "public") continue;
    const path = pathOf(pattern);
    const isPublishing = path.startsWith("/publish");

    it(`${method} ${path}`, async () => {
      const nobody = await fetchAs(running, undefined, method, path);
      expect(nobody.status).toBe(401);
      expect(nobody.json.code).toBe("AUTHORIZATION_HEADER_ERROR");
      expect(isDenied((await fetchAs(running, ADMINISTRATOR, method, path)).status)).toBe(false);

      const viewer = await fetchAs(running, VIEWER, method, path);
      expect(isDenied(viewer.status), "a viewer reads only").toBe(method !== "GET");
      const publisher = await fetchAs(running, PUBLISHER, method, path);
      expect(isDenied(publisher.status), "a publisher publishes only").toBe(!isPublishing);
      for (const answer of [viewer, publisher].filter(({ status }) => isDenied(status))) {
        expect(answer.status).toBe(403);
        expect(answer.json.code).toBe("UNAUTHORIZED_ROLE");
      }

      for (const key of SCOPES) {
        const isCovered = key.scopes.includes(access.scope);
        expect(isDenied((await fetchAs(running, key, method, path)).status), key.key).toBe(!isCovered);
      }
    });
  }
});

describe("the Authorization header", () => {
  const get = async (authorization?: string) =>
    answerOf(
      await fetch(`${running.url}/api/v5/queues`, { headers: authorization === undefined ? {} : { authorization } }),
    );

  it.each([
    ["none", undefined, "AUTHORIZATION_HEADER_ERROR"],
    ["another scheme", "Digest x", "AUTHORIZATION_HEADER_ERROR"],
    ["basic without credentials", "Basic", "AUTHORIZATION_HEADER_ERROR"],
    ["basic that is not base64", "Basic {}", "AUTHORIZATION_HEADER_ERROR"],
    ["an unknown key", basic({ key: "who", secret: "x" }), "BAD_API_KEY_OR_SECRET"],
    ["a wrong secret", basic({ key: ADMINISTRATOR.key, secret: "x" }), "BAD_API_KEY_OR_SECRET"],
    ["an empty secret", basic({ key: ADMINISTRATOR.key, secret: "" }), "BAD_API_KEY_OR_SECRET"],
    ["the secret of another key", basic({ key: ADMINISTRATOR.key, secret: VIEWER.secret }), "BAD_API_KEY_OR_SECRET"],
    ["no colon", `Basic ${Buffer.from("admin").toString("base64")}`, "BAD_API_KEY_OR_SECRET"],
    ["the key __proto__", basic({ key: "__proto__", secret: "" }), "BAD_API_KEY_OR_SECRET"],
    ["a token", "Bearer abc.def", "BAD_TOKEN"],
  ])("with %s is 401", async (_name, header, code) => {
    const answer = await get(header);
    expect(answer.status).toBe(401);
    expect(answer.json.code).toBe(code);
    expect(answer.headers.get("www-authenticate")).toBe('Basic Realm="emqx-dashboard"');
  });

  it("may spell the scheme in any case and hold colons in the secret", async () => {
    const keys = new ApiKeys([{ key: "k", secret: "a:b", role: "viewer" }]);
    expect(keys.callerOf("k", "a:b")?.role).toBe("viewer");
    expect((await get(basic(ADMINISTRATOR).replace("Basic", "bASIC"))).status).toBe(200);
  });

  it("gives a caller a name that does not show the key", () => {
    const caller = new ApiKeys([ADMINISTRATOR]).callerOf(ADMINISTRATOR.key, ADMINISTRATOR.secret);
    expect(caller?.name).toMatch(/^from_bootstrap_file_[0-9a-f]{16}$/);
  });
});
