/**
 * Goal: defaults, precedence, and one clear line for whatever is wrong, naming its place.
 * Method: real files, variables and flags; every key of the schema through every source by a property.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { ignoredVariables } from "../../src/config/environment.ts";
import { yamlOf } from "../../src/config/file.ts";
import { FLAGS } from "../../src/config/flags.ts";
import { settingsLeaves } from "../../src/config/schema.ts";
import { loadSettings, writtenSettings } from "../../src/config/settings.ts";
import { load, refusal, refusalOf, withFolder } from "./sources.ts";

describe("defaults", () => {
  test("are those of the documentation", () => {
    const settings = load({});
    expect(settings).toMatchObject({
      host: "127.0.0.1",
      mqtt: { port: 1883 },
      ws: { port: 8083 },
      http: { port: 18083 },
      api_keys: null,
      log: { level: "info" },
      session: { max_queued_messages: 100_000, max_queued_bytes: 256 * 1024 ** 2, default_expiry_interval: "infinity" },
      limits: { max_packet_size: 1024 ** 2, receive_maximum: 1_000 },
    });
    expect(settings.queues).toEqual({
      enable: true,
      gc_interval: 3_600_000,
      regular_queue_retention_period: 604_800_000,
      max_queue_count: 100,
      find_queue_retry_interval: 10_000,
      auto_create: { regular: false, lastvalue: false },
      quota: { threshold_percentage: 10, buffer_max_size: 100, buffer_flush_interval: 1_000, buffer_pool_size: 16 },
    });
    expect(settings.workers).toBe(Math.min(64, Math.max(1, availableParallelism() - 1)));
  });

  test("paths start at the working directory", () => {
    const settings = loadSettings({
      flags: { "--api-keys": "../keys" },
      environment: {},
      workingDirectory: "/srv/restante",
    });
    expect(settings.data_dir).toBe("/srv/restante/data");
    expect(settings.api_keys).toBe("/srv/keys");
  });

  test("are frozen to the leaves and can cross threads", () => {
    const settings = load({});
    expect(Object.isFrozen(settings) && Object.isFrozen(settings.queues.auto_create)).toBe(true);
    expect(structuredClone(settings)).toEqual(settings);
  });
});

describe("precedence", () => {
  const file = "mqtt: {port: 1}\nws: {port: 2}\nhttp: {port: 3}\nlog: {level: error}";
  const environment = { RESTANTE_MQTT__PORT: "11", RESTANTE_WS__PORT: "12" };

  test("flags, then environment, then file, then defaults", () => {
    const settings = load({ file, environment, flags: { "--mqtt-port": "21" } });
    expect([settings.mqtt.port, settings.ws.port, settings.http.port]).toEqual([21, 12, 3]);
    expect(settings.log.level).toBe("error");
    expect(settings.host).toBe("127.0.0.1");
  });

  test("a fault is one even where a stronger source has the same key", () => {
    expect(refusalOf({ file: "mqtt: {port: no}", flags: { "--mqtt-port": "21" } })).toMatch(
      /^restante\.yaml:1: mqtt\.port: /,
    );
  });

  test("mappings are merged key by key", () => {
    const { auto_create } = load({
      file: "queues:\n  auto_create:\n    regular: {overflow: reject, limits: {max_shard_message_count: 9}}",
      environment: { RESTANTE_QUEUES__AUTO_CREATE__REGULAR__DISPATCH_STRATEGY: "least_inflight" },
    }).queues;
    expect(auto_create.regular).toEqual({
      overflow: "reject",
      limits: { max_shard_message_count: 9 },
      dispatch_strategy: "least_inflight",
    });
  });

  test("the settings file may be named by a variable; the flag wins", () => {
    withFolder((folder) => {
      writeFileSync(join(folder, "a.yaml"), "log.level: warn");
      writeFileSync(join(folder, "b.yaml"), "log.level: error");
      const environment = { RESTANTE_CONFIG: join(folder, "a.yaml") };
      const level = (flags: Record<string, string>) =>
        loadSettings({ flags, environment, workingDirectory: folder }).log.level;
      expect(level({})).toBe("warn");
      expect(level({ "--config": "b.yaml" })).toBe("error");
    });
  });
});

describe("the file", () => {
  test("nested and dotted keys, comments and empty sections", () => {
    const settings = load({
      file: "# all of it\nqueues:\n  # nothing yet\nmqtt.port: 1884\nqueues.quota:\n  buffer_max_size: 7\nlimits: {}\n",
    });
    expect(settings.mqtt.port).toBe(1884);
    expect(settings.queues.quota.buffer_max_size).toBe(7);
  });

  test.each(["", "# nothing\n", "---\n", "{}"])("may hold nothing: %j", (file) => {
    expect(load({ file })).toMatchObject({ mqtt: { port: 1883 } });
  });

  test.each([
    ["host: x\nmqtt:\n  port: many\n", 'restante.yaml:3: mqtt.port: expected an integer from 0 to 65535; found "many"'],
    [
      "queues:\n  max_queue_cuont: 3\n",
      "restante.yaml:2: queues.max_queue_cuont: unknown key; did you mean queues.max_queue_count?",
    ],
    ["\nport: 3\n", "restante.yaml:2: port: unknown key; did you mean mqtt.port?"],
    ["mq:\n  gc_interval: 1h\n", "restante.yaml:1: mq: unknown key; did you mean queues?"],
    ["zzzzzzzz: 1\n", "restante.yaml:1: zzzzzzzz: unknown key"],
    ["mqtt: 1883\n", "restante.yaml:1: mqtt: expected a mapping of keys"],
    ["mqtt: [1883]\n", "restante.yaml:1: mqtt: expected a mapping of keys"],
    ["host: {a: 1}\n", "restante.yaml:1: host: expected an IP address or a host name; found a mapping"],
    ["host:\n", "restante.yaml:1: host: expected an IP address or a host name; found null"],
    ["mqtt.port: 1\nmqtt:\n  port: 2\n", "restante.yaml:3: mqtt.port: given twice"],
    ["__proto__:\n  port: 1\n", "restante.yaml:1: __proto__: unknown key"],
    ["constructor: 1\n", "restante.yaml:1: constructor: unknown key"],
    [
      "queues:\n  auto_create:\n    regular: {overflow: never}",
      'restante.yaml:3: queues.auto_create.regular.overflow: expected one of drop_oldest, drop_newest, reject; found "never"',
    ],
    [
      "queues:\n  auto_create:\n    regular:\n      key_expression: message.from",
      "restante.yaml:4: queues.auto_create.regular.key_expression: unknown key",
    ],
    [
      "queues:\n  auto_create:\n    regular: {}\n    lastvalue: {}",
      "queues.auto_create: only one of regular and lastvalue may be on",
    ],
    [
      "queues: {gc_interval: -10h}",
      'restante.yaml:1: queues.gc_interval: expected a duration such as 500ms, 1.5s or 1h30m, from 1ms to 49d17h2m47s295ms; found "-10h"',
    ],
    ["- a list\n", "restante.yaml: expected a mapping of keys"],
    ["just words\n", "restante.yaml: expected a mapping of keys"],
  ])("%j is refused with its line", (file, line) => {
    expect(refusalOf({ file })).toBe(line);
  });

  test("an alias that holds itself is refused", () => {
    expect(refusalOf({ file: "mqtt: &m\n  port: *m\n" })).toMatch(/^restante\.yaml:2: mqtt\.port/);
  });

  test.each(["a: [", "a: 1\na: 2\n", "\t- x: {", "host: 127.0.0.1\n---\nhost: 127.0.0.2\n"])(
    "text that is no YAML: %j",
    (file) => {
      expect(refusalOf({ file })).toMatch(/^restante\.yaml:\d+: \S/);
      expect(refusalOf({ file: "a: *nobody" })).toMatch(/^restante\.yaml: .*nobody/);
    },
  );

  test("aliases that unfold without end are refused", () => {
    const levels = Array.from(
      { length: 9 },
      (_, level) => `l${level + 1}: &l${level + 1} [${"*l".concat(String(level), ", ").repeat(9)}]`,
    );
    expect(refusalOf({ file: `l0: &l0 [x]\n${levels.join("\n")}\n` })).toMatch(/^restante\.yaml/);
  });

  test("a file that is not there is named", () => {
    const flags = { "--config": "nowhere.yaml" };
    const line = refusal(() => loadSettings({ flags, environment: {}, workingDirectory: "/" }));
    expect(line).toBe("cannot read the settings file nowhere.yaml: ENOENT");
  });

  test("any text gives settings or one line", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."amqtpor:{}[]&*!|>-#\"' \n\t1") }), (file) => {
        try {
          load({ file });
        } catch {
          expect(refusalOf({ file })).toMatch(/^restante\.yaml|^queues|^mqtt/);
        }
      }),
    );
  });
});

describe("the environment", () => {
  test.each([
    [{ RESTANTE_MQTT__PORT: "many" }, 'RESTANTE_MQTT__PORT: expected an integer from 0 to 65535; found "many"'],
    [
      { RESTANTE_MAX_QUEUE_COUNT: "5" },
      "RESTANTE_MAX_QUEUE_COUNT: unknown key; did you mean RESTANTE_QUEUES__MAX_QUEUE_COUNT?",
    ],
    [{ RESTANTE_MQTT_PORT: "5" }, "RESTANTE_MQTT_PORT: unknown key; did you mean RESTANTE_MQTT__PORT?"],
    [{ RESTANTE_TEST_SIZE: "full" }, "RESTANTE_TEST_SIZE: unknown key"],
    [{ RESTANTE_: "x" }, "RESTANTE_: unknown key"],
    [{ RESTANTE_MQTT: "5" }, "RESTANTE_MQTT: expected a mapping of keys"],
    [{ RESTANTE_MQTT__PORT__X: "5" }, "RESTANTE_MQTT__PORT__X: expected an integer from 0 to 65535; found a mapping"],
  ])("%j is refused with its name", (environment, line) => {
    expect(refusalOf({ environment: environment as unknown as Record<string, string> })).toBe(line);
  });

  test("a variable without a text counts as absent, others are not ours", () => {
    expect(
      load({
        environment: {
          RESTANTE_MQTT__PORT: "",
          RESTANTE_CONFIG: "",
          PATH: "/bin",
          RESTANT_E: "x",
          RESTANTE_VAR_SITE: "x",
        },
      }),
    ).toEqual({
      ...load({}),
      data_dir: expect.any(String),
    });
  });

  test("a key that holds keys is JSON, or a variable for each", () => {
    const whole = load({
      environment: { RESTANTE_QUEUES__AUTO_CREATE__LASTVALUE: '{"key_expression":"message.topic"}' },
    });
    const parts = load({ environment: { RESTANTE_QUEUES__AUTO_CREATE__LASTVALUE__KEY_EXPRESSION: "message.topic" } });
    expect(whole.queues.auto_create.lastvalue).toEqual({ key_expression: "message.topic" });
    expect(parts.queues).toEqual(whole.queues);
    expect(load({ environment: { RESTANTE_QUEUES__AUTO_CREATE__REGULAR: "{}" } }).queues.auto_create.regular).toEqual(
      {},
    );
    const both = {
      RESTANTE_QUEUES__AUTO_CREATE__REGULAR: "false",
      RESTANTE_QUEUES__AUTO_CREATE__REGULAR__OVERFLOW: "reject",
    };
    expect(refusalOf({ environment: both })).toContain("the same key as RESTANTE_QUEUES__AUTO_CREATE__REGULAR");
  });

  test("_FILE gives the content of a file, without its last line end, and no fault shows it", () => {
    withFolder((folder) => {
      const path = join(folder, "level");
      writeFileSync(path, "debug\n");
      expect(load({ environment: { RESTANTE_LOG__LEVEL_FILE: path } }).log.level).toBe("debug");
      writeFileSync(path, "planted-secret\n");
      const line = refusalOf({ environment: { RESTANTE_LOG__LEVEL_FILE: path } });
      expect(line).toMatch(/^RESTANTE_LOG__LEVEL_FILE: the file must hold one of trace, /);
      expect(line).not.toContain("planted-secret");
      expect(refusalOf({ environment: { RESTANTE_LOG__LEVEL_FILE: join(folder, "none") } })).toMatch(
        /: cannot read .*ENOENT$/,
      );
      expect(refusalOf({ environment: { RESTANTE_LOG__LEVEL_FILE: path, RESTANTE_LOG__LEVEL: "info" } })).toMatch(
        /^RESTANTE_LOG__LEVEL_FILE: the same key as RESTANTE_LOG__LEVEL;/,
      );
    });
  });

  test("the file of API keys under each of its names", () => {
    const file = (environment: Record<string, string>) => load({ environment }).api_keys;
    expect(file({ RESTANTE_API_KEYS: "/k" })).toBe("/k");
    expect(file({ RESTANTE_API_KEYS_FILE: "/k" })).toBe("/k");
    expect(file({ EMQX_API_KEY__BOOTSTRAP_FILE: "/k" })).toBe("/k");
    expect(file({ EMQX_API_KEY__BOOTSTRAP_FILE: "/e", RESTANTE_API_KEYS: "/k" })).toBe("/k");
    expect(
      ignoredVariables({ EMQX_API_KEY__BOOTSTRAP_FILE: "/e", EMQX_MQ__GC_INTERVAL: "1h", EMQX_HOME: "/" }),
    ).toEqual(["EMQX_MQ__GC_INTERVAL"]);
  });

  test("what Kubernetes tells about a service named restante is not a setting", () => {
    const links = {
      KUBERNETES_SERVICE_HOST: "10.0.0.1",
      RESTANTE_SERVICE_HOST: "10.0.0.2",
      RESTANTE_SERVICE_PORT: "1883",
      RESTANTE_SERVICE_PORT_MQTT: "1883",
      RESTANTE_PORT: "tcp://10.0.0.2:1883",
      RESTANTE_PORT_1883_TCP: "tcp://10.0.0.2:1883",
      RESTANTE_PORT_1883_TCP_PROTO: "tcp",
      RESTANTE_PORT_1883_TCP_PORT: "1883",
      RESTANTE_PORT_1883_TCP_ADDR: "10.0.0.2",
      RESTANTE_MQTT_SERVICE_HOST: "10.0.0.3",
      RESTANTE_MQTT_PORT: "tcp://10.0.0.3:1883",
    };
    expect(load({ environment: links }).mqtt.port).toBe(1883);
    expect(refusalOf({ environment: { ...links, RESTANTE_MQTT_PORT: "1884" } })).toMatch(
      /^RESTANTE_MQTT_PORT: unknown key/,
    );
    const { KUBERNETES_SERVICE_HOST: _, ...elsewhere } = links;
    expect(refusalOf({ environment: elsewhere })).toMatch(/unknown key/);
  });
});

describe("flags", () => {
  test("a bad value is refused with the flag's name", () => {
    expect(refusalOf({ flags: { "--workers": "0" } })).toBe(
      '--workers: expected auto, or an integer from 1 to 64; found "0"',
    );
    expect(refusalOf({ flags: { "--log-level": "loud" } })).toMatch(/^--log-level: expected one of trace, /);
  });

  test("each sets a key that exists", () => {
    const known = settingsLeaves().map(({ path }) => path.join("."));
    for (const { path } of FLAGS) expect(known).toContain(path.join("."));
  });
});

describe("rules between keys", () => {
  test("two listeners do not share a port, except 0", () => {
    expect(refusalOf({ flags: { "--ws-port": "1883" } })).toBe("ws.port: 1883 is taken by mqtt.port");
    expect(load({ flags: { "--mqtt-port": "0", "--ws-port": "0", "--http-port": "0" } }).ws.port).toBe(0);
  });

  test("the rings of many workers fit their budget", () => {
    const environment = { RESTANTE_LIMITS__RING_BUDGET: "1MB" };
    expect(load({ environment, flags: { "--workers": "4" } }).workers).toBe(4);
    expect(refusalOf({ environment, flags: { "--workers": "5" } })).toBe(
      "limits.ring_budget: 5 workers need at least 1280KB",
    );
    expect(load({ flags: { "--workers": "64" } }).workers).toBe(64);
  });
});

test("what check-config prints is a settings file that gives the same settings", () => {
  withFolder((folder) => {
    mkdirSync(join(folder, "elsewhere"));
    const environment = {
      RESTANTE_QUEUES__AUTO_CREATE__REGULAR: '{"data_retention_period":"1d"}',
      RESTANTE_SESSION__DEFAULT_EXPIRY_INTERVAL: "90m",
      RESTANTE_API_KEYS: "keys",
    };
    const settings = loadSettings({ flags: {}, environment, workingDirectory: folder });
    writeFileSync(join(folder, "printed.yaml"), yamlOf(writtenSettings(settings)));
    const flags = { "--config": "../printed.yaml" };
    expect(loadSettings({ flags, environment: {}, workingDirectory: join(folder, "elsewhere") })).toEqual(settings);
  });
});

test("every key has the same effect from a file and from its variable", () => {
  const defaults = parse(yamlOf(writtenSettings(load({})))) as object;
  for (const { path } of settingsLeaves()) {
    const value = path.reduce<unknown>((below, key) => (below as Record<string, unknown>)[key], defaults);
    if (value === null) continue;
    const name = `RESTANTE_${path.join("__").toUpperCase()}`;
    const relative = { data_dir: expect.any(String) };
    expect(load({ environment: { [name]: String(value) } })).toEqual({ ...load({}), ...relative });
    expect(load({ file: `${path.join(".")}: ${JSON.stringify(value)}` })).toEqual({ ...load({}), ...relative });
  }
});
