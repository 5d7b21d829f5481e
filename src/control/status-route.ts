/** `GET /status`, with and without the base path, open to all: for load balancers and health checks. */
import { REST_IDLE_BODY_BYTES_MAX } from "../base/limits.ts";
import { jsonResponse, RETRY_LATER, textResponse } from "./answers.ts";
import type { Route } from "./route.ts";

export interface StatusRouteOptions {
  readonly nodeName: string;
  readonly isReady: () => boolean;
}

/** The words are EMQX's: scripts look for `is running` and `is started`. */
export function statusRoute(pattern: string, { nodeName, isReady }: StatusRouteOptions): Route {
  return {
    method: "GET",
    pattern,
    access: "public",
    readsBody: false,
    bodyBytesMax: REST_IDLE_BODY_BYTES_MAX,
    needsReady: false,
    prepare:
      ({ query }) =>
      () => {
        const isUp = isReady();
        const status = isUp ? 200 : 503;
        const headers = isUp ? {} : RETRY_LATER;
        const [broker, app] = isUp ? ["started", "running"] : ["stopped", "not_running"];
        if (query.get("format") === "json") {
          const object = { node_name: nodeName, cluster: "restante", broker_status: broker, app_status: app };
          return jsonResponse(status, object, headers);
        }
        return textResponse(status, `Node ${nodeName} is ${broker}\nemqx is ${app}`, headers);
      },
  };
}
