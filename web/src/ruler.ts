// Measures the width of a text in the font of an element, without a layout.

export class Ruler {
  private readonly context = document.createElement("canvas").getContext("2d");
  private readonly cached = [new Map<string, number>(), new Map<string, number>()] as const;
  private font = "";
  /** The font size, in pixels. */
  em = 13;

  /** Sets the font to the font of this element. Returns whether the font has changed. */
  setFont(element: Element): boolean {
    const { fontFamily, fontSize } = getComputedStyle(element);
    const font = `${fontSize} ${fontFamily}`;
    if (font === this.font) return false;
    this.font = font;
    this.em = parseFloat(fontSize);
    for (const widths of this.cached) widths.clear();
    return true;
  }

  /**
   * Returns the width in pixels. Characters are measured separately, so the result may be a little
   * too large.
   */
  width(text: string, bold = false): number {
    let sum = 0;
    for (const character of text) sum += this.character(character, bold);
    return sum;
  }

  private character(character: string, bold: boolean): number {
    const widths = this.cached[bold ? 1 : 0];
    // All digits are as wide as the widest digit, because the style sheet selects tabular figures.
    const alike = character >= "0" && character <= "9" ? "0123456789" : character;
    let width = widths.get(alike);
    if (width === undefined) {
      width = Math.max(...Array.from(alike, (each) => this.measure(each, bold)));
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
