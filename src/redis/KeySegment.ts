/**
 * Encodes any text as one segment of a key: letters, digits and `-_.!~*'()%` only.
 *
 * No two texts give the same segment, and none contains `:`, `{` or `}`, so that user text can neither reach into another
 * family of keys nor choose a cluster's slot. Text that is not well-formed Unicode keeps its code units (`%uD800`).
 */
export const keySegment = (text: string): string =>
  text.isWellFormed()
    ? encodeURIComponent(text)
    : Array.from(text, (character) =>
        character.isWellFormed()
          ? encodeURIComponent(character)
          : `%u${character.charCodeAt(0).toString(16).toUpperCase()}`
      ).join("")
