/** Of the rows: fixed, so that a failing case fails again. */
export const dataSeed = 20_240_229;
