/**
 * The queue endpoints, in all their spellings: `/queues` and `/message_queues/queues` for the list, `/queue/:name`,
 * `/queues/:name` and `/message_queues/queues/:name` for one. What waits in it: queue-message-routes.ts.
 */
import { REST_BODY_BYTES_MAX, REST_IDLE_BODY_BYTES_MAX } from "../base/limits.ts";
import type { QueueDefinition } from "../queue/definition.ts";
import { jsonResponse, noContent } from "./answers.ts";
import { pageOf, pageRequestOf } from "./page.ts";
import { changed, changeOf, definitionOf } from "./queue-fields.ts";
import { queueMessageRoutes } from "./queue-message-routes.ts";
import type { QueuesConfigStore } from "./queues-config.ts";
import { listOrderOf, type Registry } from "./registry.ts";
import { READERS, type RestCall, type Route, WRITERS } from "./route.ts";

export interface QueueRoutesOptions {
  readonly registry: Registry;
  readonly config: QueuesConfigStore;
}

const LISTS = ["/queues", "/message_queues/queues"];
const ITEMS = ["/queue/:name", "/queues/:name", "/message_queues/queues/:name"];

export function queueRoutes({ registry, config }: QueueRoutesOptions): readonly Route[] {
  const read = {
    method: "GET",
    access: { roles: READERS, scope: "connections" },
    readsBody: false,
    bodyBytesMax: REST_IDLE_BODY_BYTES_MAX,
    needsReady: true,
  } as const;
  const write = {
    ...read,
    readsBody: true,
    bodyBytesMax: REST_BODY_BYTES_MAX,
    access: { roles: WRITERS, scope: "connections" },
  } as const;

  const list = (pattern: string): Route => ({
    ...read,
    pattern,
    prepare({ query }) {
      const { limit, after } = pageRequestOf(query, 2);
      return () => {
        config.requireEnabled();
        const place = after && { filterOrder: after[0]!, name: after[1]! };
        const found = registry.list(place, limit + 1).map(({ definition }) => definition);
        return jsonResponse(200, pageOf(found, limit, cursorKeyOf));
      };
    },
  });

  const create = (pattern: string): Route => ({
    ...write,
    method: "POST",
    pattern,
    prepare({ body }) {
      const definition = definitionOf(body);
      return async () => {
        config.requireEnabled();
        const record = await registry.create(definition, (count) => config.admit(count));
        return jsonResponse(200, record.definition);
      };
    },
  });

  const show = (pattern: string): Route => ({
    ...read,
    pattern,
    prepare: (call) => () => {
      config.requireEnabled();
      return jsonResponse(200, registry.lookUp(nameOf(call)).definition);
    },
  });

  const update = (pattern: string): Route => ({
    ...write,
    method: "PUT",
    pattern,
    prepare(call) {
      const change = changeOf(call.body);
      return async () => {
        config.requireEnabled();
        const record = await registry.update(nameOf(call), (current) => changed(current, change));
        return jsonResponse(200, record.definition);
      };
    },
  });

  const remove = (pattern: string): Route => ({
    ...write,
    method: "DELETE",
    readsBody: false,
    bodyBytesMax: REST_IDLE_BODY_BYTES_MAX,
    pattern,
    prepare: (call) => async () => {
      config.requireEnabled();
      await registry.remove(nameOf(call));
      return noContent();
    },
  });

  const status = (pattern: string): Route => ({
    ...read,
    pattern: `${pattern}/status`,
    prepare: (call) => async () => {
      config.requireEnabled();
      return jsonResponse(200, await registry.status(nameOf(call)));
    },
  });

  const metrics = (pattern: string): Route => ({
    ...read,
    pattern: `${pattern}/metrics`,
    prepare: (call) => async () => {
      config.requireEnabled();
      return jsonResponse(200, await registry.metrics(nameOf(call)));
    },
  });

  return [
    ...LISTS.flatMap((pattern) => [list(pattern), create(pattern)]),
    ...ITEMS.flatMap((pattern) => [show(pattern), update(pattern), remove(pattern), status(pattern), metrics(pattern)]),
    ...ITEMS.flatMap((pattern) => queueMessageRoutes(pattern, registry, config)),
  ];
}

const cursorKeyOf = ({ topic_filter, name }: QueueDefinition): readonly string[] => [listOrderOf(topic_filter), name];

const nameOf = (call: RestCall): string => call.params.get("name")!;
