/** `POST /access/reload`: the files of users and rules are read again, as SIGHUP does; a fault in them is the answer, and changes nothing. */
import { jsonResponse } from "./answers.ts";
import { type Route, WRITERS } from "./route.ts";

/** What is in force; a null where there is no such file. Counts only: who may do what is no business of REST. */
export interface AccessSummary {
  readonly anonymous: boolean;
  readonly users: number | null;
  readonly rules: number | null;
}

/** `reload` rejects with ACCESS_INVALID. */
export function accessRoutes(reload: () => Promise<AccessSummary>): readonly Route[] {
  return [
    {
      method: "POST",
      pattern: "/access/reload",
      access: { roles: WRITERS, scope: "access_control" },
      readsBody: false,
      bodyBytesMax: 0,
      needsReady: true,
      prepare: () => async () => jsonResponse(200, await reload()),
    },
  ];
}
