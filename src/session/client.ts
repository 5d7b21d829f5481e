/**
 * What hears a connection's events: nobody yet, until CONNECT; then the session it belongs to.
 */
import type { Region } from "../base/region.ts";
import { LEVEL_3_1_1 } from "../mqtt/packet-type.ts";
import type { ConnectPacket } from "../mqtt/packets.ts";
import { tryReadPlainConnect } from "../mqtt/plain-connect.ts";
import { decodeRare } from "../mqtt/rare.ts";
import { admit, onConnect, refuse } from "./connect.ts";
import { settleWritten } from "./consume.ts";
import { pump } from "./deliver.ts";
import { disconnect, onClosed } from "./disconnect.ts";
import type { ClientConnection, SessionHost } from "./ports.ts";
import { onPacket } from "./receive.ts";
import type { Attendance, Session } from "./session.ts";

export class Client {
  readonly #host: SessionHost;
  readonly #connection: ClientConnection;
  readonly #assignedClientId: string;
  #session: Session | undefined;
  #attendance: Attendance | undefined;
  #isClosed = false;

  /** `assignedClientId`: for a client that sends none; it hashes to this worker. */
  constructor(host: SessionHost, connection: ClientConnection, assignedClientId: string) {
    this.#host = host;
    this.#connection = connection;
    this.#assignedClientId = assignedClientId;
  }

  onPacket(region: Region, start: number, end: number): void {
    if (this.#session !== undefined && this.#attendance !== undefined) {
      onPacket(this.#session, this.#attendance, region, start, end);
      this.#host.wake();
      return;
    }
    const { counters } = this.#host;
    counters.packetsReceived += 1;
    counters.bytesReceived += end - start;
    const plain = tryReadPlainConnect(region.bytes, start, end);
    const decoded = plain === undefined ? decodeRare(region.bytes, start, end, LEVEL_3_1_1) : { packet: plain };
    if (decoded.fault !== undefined) {
      if (decoded.answerLevel === 0) this.#connection.destroy();
      else refuse(this.#connection, decoded.answerLevel, decoded.fault);
    } else if (decoded.packet.kind !== "connect") {
      this.#connection.destroy(); // [MQTT-3.1.0-1]
    } else {
      counters.connects += 1;
      this.#admit(decoded.packet);
    }
    this.#host.wake();
  }

  /** Judges who it is, which may take a while: nothing more is read meanwhile. */
  #admit(packet: ConnectPacket): void {
    const assigned = this.#assignedClientId;
    admit(this.#host, this.#connection, packet, assigned, (user) => {
      if (this.#isClosed) return; // Gone while it was judged.
      onConnect(this.#host, this.#connection, packet, assigned, user, (session, attendance) => {
        this.#session = session;
        this.#attendance = attendance;
      });
      this.#host.wake();
    });
  }

  onFault(reasonCode: number): void {
    if (this.#session !== undefined && this.#attendance !== undefined) {
      disconnect(this.#session, this.#attendance, reasonCode);
    } else {
      this.#connection.destroy();
    }
    this.#host.wake();
  }

  onDrained(): void {
    if (this.#session !== undefined) pump(this.#session);
    this.#host.wake();
  }

  onWritten(): void {
    if (this.#session === undefined || this.#session.attendance !== this.#attendance) return;
    if (this.#attendance !== undefined) settleWritten(this.#session, this.#attendance);
    this.#host.wake();
  }

  onClosed(): void {
    this.#isClosed = true;
    if (this.#session !== undefined && this.#attendance !== undefined) onClosed(this.#session, this.#attendance);
    this.#host.wake();
  }
}
