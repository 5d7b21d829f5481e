/**
 * `DELETE /clients/:clientid`: sends a client away and ends its session, as EMQX's kick does. What it had of a queue goes back
 * at once.
 */
import type { Workers } from "../worker/commands.ts";
import { noContent } from "./answers.ts";
import { type Route, WRITERS } from "./route.ts";

export function clientRoutes(workers: Workers): readonly Route[] {
  return [
    {
      method: "DELETE",
      pattern: "/clients/:clientid",
      access: { roles: WRITERS, scope: "connections" },
      readsBody: false,
      bodyBytesMax: 0,
      needsReady: true,
      prepare({ params }) {
        const clientId = params.get("clientid") ?? "";
        return async () => {
          await workers.call(workers.workerOf(clientId), { kind: "kickClient", clientId });
          return noContent();
        };
      },
    },
  ];
}
