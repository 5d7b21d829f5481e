/** The command line: `restante start | status | passwd | fsck | compact | check-config`. The one door to commander. */
import { Command, CommanderError } from "commander";
import { VERSION } from "../base/version.ts";
import { loadAccessFiles } from "../config/access-files.ts";
import { parseApiKeyFile } from "../config/api-keys.ts";
import { ignoredVariables } from "../config/environment.ts";
import { yamlOf } from "../config/file.ts";
import { FLAGS, type FlagValues } from "../config/flags.ts";
import { loadSettings, type Settings, writtenSettings } from "../config/settings.ts";
import { EXIT_BUG, EXIT_REFUSED, printRefusal, refuse } from "./refusal.ts";
import { start } from "./start.ts";
import { describeReady, statusOf } from "./status.ts";

const program = new Command("restante")
  .description("An MQTT 3.1.1 and 5.0 broker that is also a durable message queue.")
  .version(VERSION, "--version", "print the version")
  .helpOption("-h, --help", "print what there is")
  .helpCommand(false)
  .exitOverride()
  .configureOutput({ writeErr: () => undefined });

addSettingFlags(program.command("start").description("start the broker; ends with SIGTERM or SIGINT")).action(
  async (_, command: Command) => {
    const settings = settingsOf(command);
    const loadBroker = async () => (await import("../broker/broker.ts")).startBroker;
    process.exit(await start(settings, ignoredVariables(process.env), loadBroker));
  },
);

addSettingFlags(program.command("status").description("exit with 0 when the broker runs and is ready"))
  .option("--json", "print a JSON object")
  .action(async (options: { json?: boolean }, command: Command) => {
    const report = await statusOf(settingsOf(command).data_dir);
    if (options.json) console.log(JSON.stringify(report));
    else if (report.ready && report.broker) console.log(describeReady(report.broker));
    else printRefusal(report.problem ?? "not ready");
    process.exitCode = report.ready ? 0 : EXIT_REFUSED;
  });

addSettingFlags(program.command("fsck").description("say what is in the store, and what of it is damaged"))
  .option("--salvage <directory>", "put what is readable into a new data directory")
  .action(async (options: { salvage?: string }, command: Command) => {
    const { data_dir } = settingsOf(command);
    if (options.salvage === undefined) process.exitCode = await (await import("./fsck.ts")).fsck(data_dir);
    else process.exitCode = await (await import("./salvage.ts")).salvage(data_dir, options.salvage);
  });

addSettingFlags(program.command("compact").description("give the space that the store does not use back to the disk"))
  .option("--json", "print a JSON object")
  .action(async ({ json }: { json?: boolean }, command: Command) => {
    process.exitCode = await (await import("./compact.ts")).compact(settingsOf(command).data_dir, json);
  });

addSettingFlags(
  program.command("check-config").description("print the settings in force, or what is wrong with them"),
).action((_, command: Command) => {
  const settings = settingsOf(command);
  const keys = settings.api_keys === null ? [] : parseApiKeyFile(settings.api_keys);
  const { users, rules } = loadAccessFiles(settings);
  process.stdout.write(yamlOf(writtenSettings(settings)));
  if (settings.api_keys !== null) console.log(`# ${keys.length} API keys`);
  if (users !== undefined) console.log(`# ${users.size} users`);
  if (rules !== undefined) console.log(`# ${rules.rules.length} access rules`);
});

program
  .command("passwd")
  .description("set a user's password in a password file, or delete the user")
  .argument("<file>", "the password file; made if it is not there")
  .argument("<user>", "the user's name")
  .option("--stdin", "read the password from standard input, the first line of it, and do not ask")
  .option("-D, --delete", "delete the user")
  .action(async (file: string, user: string, options: { stdin?: boolean; delete?: boolean }) => {
    const { deleteUser, setPassword } = await import("./passwd.ts");
    process.exitCode = options.delete ? deleteUser(file, user) : await setPassword(file, user, options.stdin === true);
  });

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

function addSettingFlags(command: Command): Command {
  command.option("--config <file>", "settings file (YAML)");
  for (const { flag, placeholder, path } of FLAGS) command.option(`${flag} ${placeholder}`, `sets ${path.join(".")}`);
  return command;
}

function settingsOf(command: Command): Settings {
  const flags: Record<string, string | undefined> = {};
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (option.long && typeof value === "string") flags[option.long] = value;
  }
  return loadSettings({
    flags: flags satisfies FlagValues,
    environment: process.env,
    workingDirectory: process.cwd(),
  });
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) {
    const isWithoutVerb = error.code === "commander.help";
    const text = isWithoutVerb
      ? "which command? start, status, passwd, fsck, compact or check-config; see restante --help"
      : error.message;
    if (error.exitCode !== 0) printRefusal(text.replace(/^error: /, ""));
    return error.exitCode;
  }
  try {
    return refuse(error);
  } catch {
    console.error(error);
    return EXIT_BUG;
  }
}
