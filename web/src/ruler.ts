// How wide a text is in an element's font, without laying it out.

export class Ruler {
  private readonly context = document.createElement("canvas").getContext("2d");
  private readonly known = [new Map<string, number>(), new Map<string, number>()] as const;
  private font = "";
  /** The size of the font, in pixels. */
  em = 13;

  /** Takes the font of this element; whether it is another than before. */
  setFont(element: Element): boolean {
    const { fontFamily, fontSize } = getComputedStyle(element);
    const font = `${fontSize} ${fontFamily}`;
    if (font === this.font) return false;
    this.font = font;
    this.em = parseFloat(fontSize);
    for (const widths of this.known) widths.clear();
    return true;
  }

  /** In pixels; at most a little more than it is, since letters are taken one by one. */
  width(text: string, bold = false): number {
    let sum = 0;
    for (const character of text) sum += this.character(character, bold);
    return sum;
  }

  private character(character: string, bold: boolean): number {
    const widths = this.known[bold ? 1 : 0];
    // Digits are all as wide as the widest of them: the style sheet asks for that.
    const alike = character >= "0" && character <= "9" ? "0123456789" : character;
    let width = widths.get(alike);
    if (width === undefined) {
      width = Math.max(...[...alike].map((each) => this.measure(each, bold)));
      widths.set(alike, width);
    }
    return width;
  }

  private measure(character: string, bold: boolean): number {
    if (!this.context) return this.em;
    this.context.font = `${bold ? 600 : 400} ${this.font}`;
    return this.context.measureText(character).width;
  }
}
