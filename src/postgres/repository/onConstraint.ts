import { ConstraintViolated, type StoreError } from "../../core/StoreError.ts"

/**
 * Tells the rule that refused a write as the domain error that it stands for; every other failure stays what it is.
 *
 * Rules are known by the name of the constraint or unique index, on a server, the embedded engine and in memory alike.
 *
 * @example
 * ```ts
 * insert.pipe(Effect.mapError(onConstraint({ users_email_key: () => new EmailTaken({ email }) })))
 * ```
 */
export const onConstraint =
  <Told>(errors: { readonly [Rule in keyof Told]: (violation: ConstraintViolated) => Told[Rule] }) =>
  <E>(error: E | StoreError): E | StoreError | Told[keyof Told] => {
    const { reason } = error as Partial<StoreError>
    if (!(reason instanceof ConstraintViolated)) return error
    const told = Object.entries<(violation: ConstraintViolated) => Told[keyof Told]>(errors)
    return told.find(([rule]) => rule === reason.constraint)?.[1](reason) ?? error
  }
