/** The states of a message that stands aside of its queue's line; see `aside.ts`. */
export const FREE = 0;
export const IN_FLIGHT = 1;
export const RETURNED = 2;
export const HELD = 3;
export const PARKED = 4;
/** Superseded or dropped in favour of a message that is not on disk yet; RETURNED, and anybody's, if that fails. */
export const LEAVING = 5;
export const STATES = 6;

export const NO_SLOT = -1;
export const NO_HOLDER = -1;

/** Whether a message in this state waits: come back, held or parked. */
export const isWaitingState = (state: number): boolean => state === RETURNED || state === HELD || state === PARKED;
