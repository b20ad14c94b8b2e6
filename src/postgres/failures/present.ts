/** The field where it has a value, to be spread: an optional field may be left out and not be undefined. */
export const present = <K extends string>(key: K, value: string | undefined): { readonly [_ in K]?: string } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [_ in K]?: string })
