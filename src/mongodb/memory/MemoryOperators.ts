import { Context, evalExpr } from "mingo/core"
import * as accumulators from "mingo/operators/accumulator"
import * as expressions from "mingo/operators/expression"
import * as stages from "mingo/operators/pipeline"
import * as queries from "mingo/operators/query"
import type { Any, Options } from "mingo/types"
import { compareValues, foreignValue, isRecord, type Mutable, sameType, sameValue, valuesAt } from "./BsonValue.ts"
import { refusal, unsupported } from "./MemoryRefusal.ts"

type Predicate = (document: unknown) => boolean

const anyOf =
  (selector: string, test: (value: unknown) => boolean): Predicate =>
  (document) =>
    valuesAt(document, selector).some(test)

const noneOf = (selector: string, test: (value: unknown) => boolean): Predicate => {
  const any = anyOf(selector, test)
  return (document) => !any(document)
}

const isMember = (operands: unknown) => (value: unknown) =>
  Array.isArray(operands) && operands.some((operand) => sameValue(value, operand))

const pairOf = (document: Any, pair: Any, options: Options): readonly [unknown, unknown] => {
  const values = evalExpr(document, pair, options)
  if (!Array.isArray(values) || values.length !== 2) throw refusal(16020, "an equality takes two operands")
  return [values[0], values[1]]
}

// Equality is our own everywhere: mingo's does not see the order of a sub-document's fields.
const $eq: typeof queries.$eq = (selector, operand) => anyOf(selector, (value) => sameValue(value, operand))
const $ne: typeof queries.$ne = (selector, operand) => noneOf(selector, (value) => sameValue(value, operand))
const $in: typeof queries.$in = (selector, operands) => anyOf(selector, isMember(operands))
const $nin: typeof queries.$nin = (selector, operands) => noneOf(selector, isMember(operands))
// Comparison too: to MongoDB null is at least, and at most, what is missing.
const compared =
  (test: (order: number) => boolean): typeof queries.$gt =>
  (selector, operand) =>
    anyOf(selector, (value) => sameType(value, operand) && test(compareValues(value, operand)))
const equal: typeof expressions.$eq = (document, pair, options) => sameValue(...pairOf(document, pair, options))
const unequal: typeof expressions.$ne = (document, pair, options) => !sameValue(...pairOf(document, pair, options))

// The text of what is missing is empty; mingo's is null.
const $toLower: typeof expressions.$toLower = (document, text, options) =>
  expressions.$toLower(document, text, options) ?? ""
const $toUpper: typeof expressions.$toUpper = (document, text, options) =>
  expressions.$toUpper(document, text, options) ?? ""

const conditions = {
  $eq,
  $ne,
  $in,
  $nin,
  $gt: compared((order) => order > 0),
  $gte: compared((order) => order >= 0),
  $lt: compared((order) => order < 0),
  $lte: compared((order) => order <= 0),
  $exists: queries.$exists,
  $elemMatch: queries.$elemMatch,
  $all: queries.$all,
  $size: queries.$size,
  $not: queries.$not,
  $mod: queries.$mod,
  $regex: queries.$regex
}
const logic = { $and: queries.$and, $or: queries.$or, $nor: queries.$nor }
const operations = {
  $eq: equal,
  $ne: unequal,
  $abs: expressions.$abs,
  $add: expressions.$add,
  $ceil: expressions.$ceil,
  $divide: expressions.$divide,
  $floor: expressions.$floor,
  $mod: expressions.$mod,
  $multiply: expressions.$multiply,
  $round: expressions.$round,
  $subtract: expressions.$subtract,
  $trunc: expressions.$trunc,
  $arrayElemAt: expressions.$arrayElemAt,
  $concatArrays: expressions.$concatArrays,
  $filter: expressions.$filter,
  $in: expressions.$in,
  $isArray: expressions.$isArray,
  $map: expressions.$map,
  $range: expressions.$range,
  $reduce: expressions.$reduce,
  $reverseArray: expressions.$reverseArray,
  $size: expressions.$size,
  $slice: expressions.$slice,
  $and: expressions.$and,
  $or: expressions.$or,
  $not: expressions.$not,
  $gt: expressions.$gt,
  $gte: expressions.$gte,
  $lt: expressions.$lt,
  $lte: expressions.$lte,
  $cmp: expressions.$cmp,
  $cond: expressions.$cond,
  $ifNull: expressions.$ifNull,
  $switch: expressions.$switch,
  $let: expressions.$let,
  $literal: expressions.$literal,
  $mergeObjects: expressions.$mergeObjects,
  $objectToArray: expressions.$objectToArray,
  $concat: expressions.$concat,
  $toLower,
  $toUpper,
  $split: expressions.$split,
  $strLenCP: expressions.$strLenCP,
  $substrCP: expressions.$substrCP,
  $toString: expressions.$toString,
  $year: expressions.$year,
  $month: expressions.$month,
  $dayOfMonth: expressions.$dayOfMonth,
  $hour: expressions.$hour,
  $minute: expressions.$minute,
  $second: expressions.$second
}
const accumulations = {
  $sum: accumulators.$sum,
  $avg: accumulators.$avg,
  $min: accumulators.$min,
  $max: accumulators.$max,
  $first: accumulators.$first,
  $last: accumulators.$last,
  $push: accumulators.$push,
  $addToSet: accumulators.$addToSet,
  $count: accumulators.$count,
  $mergeObjects: accumulators.$mergeObjects
}
const steps = {
  $match: stages.$match,
  $group: stages.$group,
  $sort: stages.$sort,
  $limit: stages.$limit,
  $skip: stages.$skip,
  $project: stages.$project,
  $addFields: stages.$addFields,
  $set: stages.$set,
  $unset: stages.$unset,
  $unwind: stages.$unwind,
  $count: stages.$count,
  $facet: stages.$facet,
  $lookup: stages.$lookup,
  $sortByCount: stages.$sortByCount,
  $replaceRoot: stages.$replaceRoot,
  $replaceWith: stages.$replaceWith
}

const queryOperators = new Set([...Object.keys(conditions), "$options"])
const logicalOperators = new Set(Object.keys(logic))
// In an expression these read an array; mingo has them among its accumulators.
const expressionOperators = new Set([...Object.keys(operations), "$sum", "$avg", "$min", "$max", "$first", "$last"])
const accumulatorOperators = new Set(Object.keys(accumulations))
const stageOperators = new Set(Object.keys(steps))

/** The operators that mingo may use: nothing that is not listed above. */
export const makeContext = (): Context =>
  Context.init({
    query: { ...conditions, ...logic, $expr: queries.$expr },
    expression: operations,
    accumulator: accumulations,
    pipeline: steps
  })

const refuseForeign = (value: unknown): void => {
  const foreign = foreignValue(value)
  if (foreign !== undefined) throw unsupported(foreign)
  if (value instanceof RegExp) throw unsupported("a regular expression as a value")
}

const checkCondition = (condition: unknown): void => {
  if (!isRecord(condition) || !Object.keys(condition).some((key) => key.startsWith("$"))) {
    return refuseForeign(condition)
  }
  for (const [operator, operand] of Object.entries(condition)) {
    if (!queryOperators.has(operator)) throw unsupported(operator)
    if (operator === "$not") checkCondition(operand)
    else if (operator === "$elemMatch") {
      if (isRecord(operand) && Object.keys(operand).every((key) => key.startsWith("$") && !logicalOperators.has(key))) {
        checkCondition(operand)
      } else checkFilter(operand)
    } else if (operator === "$in" || operator === "$nin" || operator === "$all") {
      if (!Array.isArray(operand)) throw refusal(2, `${operator} takes an array`)
      operand.forEach(refuseForeign)
    } else if (operator !== "$regex" && operator !== "$options") refuseForeign(operand)
  }
}

/** Refuses a filter that uses what this engine lacks. */
export const checkFilter = (filter: unknown): void => {
  if (!isRecord(filter)) throw refusal(14, "a filter must be a document")
  for (const [field, condition] of Object.entries(filter)) {
    if (logicalOperators.has(field)) {
      if (!Array.isArray(condition) || condition.length === 0) throw refusal(2, `${field} takes a non-empty array`)
      condition.forEach(checkFilter)
    } else if (field === "$expr") checkExpression(condition)
    else if (field.startsWith("$")) throw unsupported(field)
    else checkCondition(condition)
  }
}

const systemVariables = new Set(["$$ROOT", "$$CURRENT", "$$REMOVE", "$$NOW"])

const checkExpression = (expression: unknown): void => {
  if (typeof expression === "string") {
    const [variable = ""] = expression.split(".")
    if (/^\$\$[A-Z]/.test(variable) && !systemVariables.has(variable)) throw unsupported(variable)
  } else if (Array.isArray(expression)) expression.forEach(checkExpression)
  else if (isRecord(expression)) {
    for (const [key, operand] of Object.entries(expression)) {
      if (key === "$literal") refuseForeign(operand)
      else {
        if (key.startsWith("$") && !expressionOperators.has(key)) throw unsupported(key)
        checkExpression(operand)
      }
    }
  } else refuseForeign(expression)
}

const checkGroup = (group: unknown): void => {
  if (!isRecord(group)) throw refusal(15947, "a group's fields must be specified in an object")
  if (!Object.hasOwn(group, "_id")) throw refusal(15955, "a group specification must include an _id")
  for (const [field, accumulator] of Object.entries(group)) {
    if (field === "_id") checkExpression(accumulator)
    else if (!isRecord(accumulator)) throw refusal(40234, "the field of a group must be an accumulator")
    else {
      for (const [operator, operand] of Object.entries(accumulator)) {
        if (!accumulatorOperators.has(operator)) throw unsupported(operator)
        checkExpression(operand)
      }
    }
  }
}

/** Refuses a pipeline that uses what this engine lacks. */
export const checkPipeline = (pipeline: ReadonlyArray<unknown>): void => {
  for (const stage of pipeline) {
    if (!isRecord(stage) || Object.keys(stage).length !== 1) throw refusal(40323, "a stage must have exactly one field")
    const [[name, body]] = Object.entries(stage) as [[string, unknown]]
    if (!stageOperators.has(name)) throw unsupported(name)
    switch (name) {
      case "$match":
        checkFilter(body)
        break
      case "$group":
        checkGroup(body)
        break
      case "$facet":
        if (!isRecord(body)) throw refusal(40169, "$facet takes pipelines")
        for (const inner of Object.values(body)) checkPipeline(Array.isArray(inner) ? inner : [inner])
        break
      case "$lookup":
        if (isRecord(body) && Array.isArray(body["pipeline"])) checkPipeline(body["pipeline"])
        if (isRecord(body) && isRecord(body["let"])) checkExpression(body["let"])
        break
      case "$sort":
      case "$limit":
      case "$skip":
      case "$count":
      case "$unset":
      case "$unwind":
        break
      default:
        checkExpression(body)
    }
  }
}

/** Puts the Clock's time where an expression says `$$NOW`. */
const withNow = (u: unknown, now: Date): unknown => {
  if (u === "$$NOW") return { $literal: now }
  if (Array.isArray(u)) return u.map((element) => withNow(element, now))
  if (!isRecord(u)) return u
  return Object.fromEntries(
    Object.entries(u).map(([key, value]) => [key, key === "$literal" ? value : withNow(value, now)])
  )
}

/** Readies a checked filter for mingo. */
export const prepareFilter = (filter: Mutable, now: Date): Mutable =>
  Object.fromEntries(
    Object.entries(filter).map(([key, value]) => {
      if (key === "$expr") return [key, withNow(value, now)]
      if (!logicalOperators.has(key) || !Array.isArray(value)) return [key, value]
      return [key, value.filter(isRecord).map((part) => prepareFilter(part, now))]
    })
  )

/** A missing group key is null to MongoDB and undefined to mingo. */
const groupKey = (key: unknown): unknown => (typeof key === "string" ? { $ifNull: [key, null] } : key)

/** Readies a checked pipeline for mingo. */
export const preparePipeline = (pipeline: ReadonlyArray<unknown>, now: Date): Array<Mutable> =>
  pipeline.filter(isRecord).map((stage) => {
    const [[name, body]] = Object.entries(stage) as [[string, unknown]]
    if (!isRecord(body)) return stage
    if (name === "$match") return { $match: prepareFilter(body, now) }
    if (name === "$facet") {
      const inner = Object.entries(body).map(([key, p]) => [key, preparePipeline(Array.isArray(p) ? p : [p], now)])
      return { $facet: Object.fromEntries(inner) }
    }
    const prepared = withNow(body, now)
    if (name === "$group" && isRecord(prepared)) return { $group: { ...prepared, _id: groupKey(prepared["_id"]) } }
    return { [name]: prepared }
  })
