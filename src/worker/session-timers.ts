/**
 * What time does to sessions: they expire, their wills are published, silent connections end, refused publishers wait.
 *
 * ```
 *   away ──expiry──► ended      away ──will delay, or ended──► will      silent for 1.5 keep alive ──► closed
 *   refused (MQTT 3) ──1 s, 2 s, … 30 s──► closed
 * ```
 */
import { REFUSAL_PAUSE_MS_MAX, REFUSAL_PAUSE_MS_MIN, REFUSALS_REMEMBERED_MAX } from "../base/limits.ts";
import { TimerEntry, type TimerWheel } from "../base/timer-wheel.ts";
import type { Attendance, Session } from "../session/session.ts";

/** Timers of one session: made when first needed. */
interface Timers {
  expiry?: TimerEntry;
  will?: TimerEntry;
}

export class SessionTimers {
  readonly #wheel: TimerWheel;
  readonly #nowMs: () => number;
  readonly #bySession = new Map<Session, Timers>();
  /** Of MQTT 3 clients whose publishes were refused: the last pause, and how long it counts. Refused longest ago first. */
  readonly #refusals = new Map<string, { readonly pauseMs: number; readonly untilMs: number }>();

  /** What found no room and is tried again. */
  retries = 0;

  constructor(wheel: TimerWheel, nowMs: () => number) {
    this.#wheel = wheel;
    this.#nowMs = nowMs;
  }

  /** Calls back once. */
  after(afterMs: number, callback: () => void): void {
    this.retries += 1;
    const entry = new TimerEntry(() => {
      this.retries -= 1;
      callback();
    });
    this.#wheel.schedule(entry, this.#nowMs() + afterMs);
  }

  /** Calls `expire` when a session's time away is over [MQTT-3.1.2-23]. */
  watchExpiry(session: Session, expire: () => void): void {
    if (session.expiryS === Number.POSITIVE_INFINITY) return;
    const timers = this.#of(session);
    timers.expiry ??= new TimerEntry(expire);
    this.#wheel.schedule(timers.expiry, session.awaySinceMs + session.expiryS * 1000);
  }

  scheduleWill(session: Session, delayS: number, publish: () => void): void {
    const timers = this.#of(session);
    timers.will = new TimerEntry(publish);
    this.#wheel.schedule(timers.will, this.#nowMs() + delayS * 1000); // [MQTT-3.1.3-9]
  }

  /** The client is back, or the session ends. */
  cancel(session: Session): void {
    const timers = this.#bySession.get(session);
    if (timers === undefined) return;
    this.#bySession.delete(session);
    if (timers.expiry !== undefined) this.#wheel.cancel(timers.expiry);
    if (timers.will !== undefined) this.#wheel.cancel(timers.will);
  }

  /**
   * Calls `close` when a connection has been silent for too long [MQTT-3.1.2-22]. A packet under way is no silence as long as more of it
   * comes: clients send no PINGREQ meanwhile.
   */
  watchKeepAlive(attendance: Attendance, close: () => void): void {
    if (attendance.keepAliveMs === 0) return;
    const entry = new TimerEntry((nowMs) => {
      if (attendance.isClosing) return;
      const dueMs = attendance.lastReceivedMs + attendance.keepAliveMs;
      if (dueMs > nowMs || attendance.deferred !== undefined) {
        this.#wheel.schedule(entry, Math.max(dueMs, nowMs + 1000)); // While we do not read, silence is ours.
        return;
      }
      const { bytesRead, hasPartialPacket } = attendance.connection;
      const isReceiving = hasPartialPacket && bytesRead !== attendance.silentSinceBytes;
      attendance.silentSinceBytes = bytesRead;
      if (isReceiving) this.#wheel.schedule(entry, nowMs + attendance.keepAliveMs);
      else close();
    });
    attendance.keepAlive = entry;
    this.#wheel.schedule(entry, attendance.lastReceivedMs + attendance.keepAliveMs);
  }

  unwatchKeepAlive(attendance: Attendance): void {
    if (attendance.keepAlive !== undefined) this.#wheel.cancel(attendance.keepAlive);
  }

  /** Closes a refused publisher's connection after a pause that doubles while it comes again. */
  closeAfterPause(clientId: string, attendance: Attendance): void {
    const nowMs = this.#nowMs();
    const last = this.#refusals.get(clientId);
    const isFirst = last === undefined || last.untilMs <= nowMs;
    const pauseMs = isFirst ? REFUSAL_PAUSE_MS_MIN : Math.min(last.pauseMs * 2, REFUSAL_PAUSE_MS_MAX);
    this.#refusals.delete(clientId);
    if (this.#refusals.size === REFUSALS_REMEMBERED_MAX) this.#refusals.delete(this.#refusals.keys().next().value!);
    this.#refusals.set(clientId, { pauseMs, untilMs: nowMs + pauseMs + REFUSAL_PAUSE_MS_MAX });
    attendance.isClosing = true;
    attendance.connection.pauseReading();
    this.after(pauseMs, () => attendance.connection.destroy());
  }

  /** Clients whose pause is remembered. */
  get refusalCount(): number {
    return this.#refusals.size;
  }

  /** Forgets refusals that count no more. */
  keepHouse(nowMs: number): void {
    for (const [clientId, { untilMs }] of this.#refusals) if (untilMs <= nowMs) this.#refusals.delete(clientId);
  }

  #of(session: Session): Timers {
    let timers = this.#bySession.get(session);
    if (timers === undefined) {
      timers = {};
      this.#bySession.set(session, timers);
    }
    return timers;
  }
}
