/** Texts that were verified when they came and never change: parsed once, kept while they are used. */

/** Characters of all kept texts together; parsed they take a few times that. */
const MAX_CHARACTERS = 8 * 1024 * 1024;

export class Kept<T> {
  #values = new Map<string, { value: T; weight: number }>();
  #weight = 0;

  /** @param load text and how to parse it, when the value is not at hand. */
  async of(name: string, load: () => Promise<{ text: string; value: T }>): Promise<T> {
    const known = this.#values.get(name);
    if (known) {
      // Last used goes last, so the first is the one to drop.
      this.#values.delete(name);
      this.#values.set(name, known);
      return known.value;
    }
    const { text, value } = await load();
    this.#weight += text.length - (this.#values.get(name)?.weight ?? 0);
    this.#values.set(name, { value, weight: text.length });
    for (const [oldest, { weight }] of this.#values) {
      if (this.#weight <= MAX_CHARACTERS || oldest === name) break;
      this.#values.delete(oldest);
      this.#weight -= weight;
    }
    return value;
  }
}
