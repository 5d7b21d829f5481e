/** Rounds of a property test: small unless the full size is asked for. */
export const ROUNDS = process.env.RESTANTE_TEST_SIZE === "full" ? 20_000 : 500;
