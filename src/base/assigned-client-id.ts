/** The name of a client that gives none [MQTT-3.1.3-6]: nobody can guess it, and no two are the same. */
import { randomBytes } from "node:crypto";

export const newClientId = (): string => `restante-${randomBytes(12).toString("base64url")}`;
