const adjectives = (
  'able amber brisk calm clean clear clever crisp deep eager fair fast fine firm fond fresh gentle glad grand handy ' +
  'happy hardy keen kind light lively lucid lucky mellow merry mild neat nimble noble open plain polite proud quick quiet'
).split(' ')
const nouns = (
  'ash badger beech birch bison cedar crane crow deer dove eagle elm falcon fern finch fox gull hare hawk heron ' +
  'ibis jay lark linden lynx maple marten mole moose newt oak otter owl pine raven robin seal stork swan wren'
).split(' ')

/** A name that people can say, for a run or a model that was given none. The same seed gives the same name. */
export function readableName(seed: string): string {
  let mixed = 2166136261
  for (const character of seed) mixed = Math.imul(mixed ^ character.codePointAt(0)!, 16777619) >>> 0
  const adjective = adjectives[mixed % adjectives.length]
  const noun = nouns[(mixed >>> 8) % nouns.length]
  return `${adjective}-${noun}-${(mixed >>> 16) % 1000}`
}
