export const isPostgresUrl = (place: string): boolean => /^postgres(ql)?:\/\//.test(place)
