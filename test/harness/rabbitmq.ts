/**
 * RabbitMQ, as a peer of the benchmarks: a node of its own with everything it writes in a temporary directory, every port free
 * and on the loopback only, and its own port mapper (epmd), so that no other node is touched. Both are our children, the
 * node without a shell in between, and end by their pids.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { Child } from "./process.ts";
import { eventually } from "./waiting.ts";

/** The script behind the one on the PATH, which insists on another user and a system-wide node. */
export const RABBITMQ_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const READY_MS_MAX = 60_000;

export interface Rabbitmq {
  readonly amqpPort: number;
  readonly pid: number;
  remove(): Promise<void>;
}

/** Starts it with its defaults; user and password guest. Its directory is made in `parent`, which says what disk it is on. */
export async function startRabbitmq(parent: string): Promise<Rabbitmq> {
  const directory = await mkdtemp(join(parent, "restante-rabbitmq-"));
  const [amqpPort, mapperPort, distributionPort] = [await freePort(), await freePort(), await freePort()];
  const at = (name: string): string => join(directory, name);
  await mkdir(at("home"));
  await writeFile(at("plugins"), "[].\n");
  await writeFile(
    at("rabbitmq.conf"),
    [`listeners.tcp.1 = 127.0.0.1:${amqpPort}`, "log.file.level = warning", "log.console = false", ""].join("\n"),
  );
  const environment = {
    HOME: at("home"),
    LC_ALL: "C.UTF-8",
    ERL_EPMD_PORT: String(mapperPort),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    RABBITMQ_NODENAME: `restante-bench-${amqpPort}@localhost`,
    RABBITMQ_DIST_PORT: String(distributionPort),
    RABBITMQ_CONFIG_FILE: at("rabbitmq.conf"),
    RABBITMQ_CONF_ENV_FILE: "/dev/null",
    RABBITMQ_ENABLED_PLUGINS_FILE: at("plugins"),
    RABBITMQ_MNESIA_BASE: at("mnesia"),
    RABBITMQ_LOG_BASE: at("log"),
    RABBITMQ_PID_FILE: at("pid"),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}",
    RABBITMQ_ALLOW_INPUT: "",
    RUNNING_UNDER_SYSTEMD: "true", // The script becomes the node, instead of keeping watch over it.
  };
  const mapper = new Child("epmd", ["-address", "127.0.0.1", "-port", String(mapperPort)], { environment });
  await eventually(
    () => `epmd listens: ${mapper.stderr}`,
    () => accepts(mapperPort),
    5_000,
  ); // Else the node starts one that outlives it.
  const node = new Child(RABBITMQ_SERVER, [], { environment });
  const remove = async (): Promise<void> => {
    node.signal("SIGTERM");
    await node.ended;
    mapper.signal("SIGTERM");
    await mapper.ended;
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const isReady = async (): Promise<boolean> => !node.isRunning || (await accepts(amqpPort));
    await eventually(() => `RabbitMQ listens: ${node.stderr}`, isReady, READY_MS_MAX);
    if (!node.isRunning) throw new Error(`RabbitMQ ended: ${node.stderr}\n${node.lines.slice(-30).join("\n")}`);
  } catch (error) {
    await remove();
    throw error;
  }
  return { amqpPort, pid: node.pid, remove };
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
