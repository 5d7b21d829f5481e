/** MQTT.js, a stock client, with the few awaits that tests need. */
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";

export interface Delivery {
  readonly topic: string;
  readonly text: string;
  readonly qos: number;
  readonly dup: boolean;
  readonly retain: boolean;
}

/** Connects; no reconnecting unless asked for: a lost connection is a finding. */
export function connectMqttJs(port: number, options: IClientOptions = {}): Promise<MqttClient> {
  return connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0, connectTimeout: 5_000, ...options });
}

/** Collects what arrives from now on. */
export function collect(client: MqttClient): Delivery[] {
  const deliveries: Delivery[] = [];
  client.on("message", (topic, payload, { qos, dup, retain }) => {
    deliveries.push({ topic, text: payload.toString(), qos, dup, retain });
  });
  return deliveries;
}
