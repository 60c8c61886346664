// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${matrix.x} and ${item} are words of modelwright.yaml
import type { JsonScalar } from '../project-file.ts'

/** `${matrix.NAME}`, `${item}` and `${item.key}`: filled in when a step is made from a matrix or a list. */
const reference = /\$\{(matrix\.[^}]*|item(?:\.[^}]*)?)\}/g

/** The names between `${` and `}`, in order. */
export const referencesIn = (text: string): string[] => [...text.matchAll(reference)].map((match) => match[1]!)

/** The text with a harmless word for each reference: what its form can be checked by before the values are known. */
export const withoutReferences = (text: string): string => text.replaceAll(reference, 'x')

/** What a path with `${item}` may become, as a pattern; an item never adds a folder. */
export const asPattern = (path: string): string => path.replaceAll(/(?:\$\{item(?:\.[^}]*)?\}|\*)+/g, '*')

export const holdsItem = (text: string): boolean => /\$\{item(\.[^}]*)?\}/.test(text)

/** Fills in what `valueFor` knows and leaves the rest; `write` says how a value stands in the text. */
export const fillIn = (
  text: string,
  valueFor: (name: string) => JsonScalar | undefined,
  write: (value: string) => string = (value) => value,
): string =>
  text.replaceAll(reference, (whole, name: string) => {
    const value = valueFor(name)
    return value === undefined ? whole : write(String(value))
  })
