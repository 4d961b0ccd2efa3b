/** Text that somebody else chose, within a line of ours: it begins none of its own, which would read as ours. */
export const oneLine = (text: string): string => text.replace(/[\r\n\v\f\u0085\u2028\u2029]+/g, " ");
