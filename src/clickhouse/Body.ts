import { Readable } from "node:stream"
import { constants, createGunzip } from "node:zlib"

/**
 * The body of an answer, up to the last byte that came.
 *
 * ClickHouse ends a result that fails on its way by writing the exception and cutting the connection. Node reports the cut by
 * destroying the stream: what it still held, and what a decompressor held, is not given out. Here the bytes come first, then
 * the cut.
 */
export interface Body {
  readonly bytes: Readable
  /** Why it ended before its end; undefined where it is whole. Known once `bytes` has ended. */
  readonly cut: () => Cut | undefined
}

interface Cut {
  readonly cause: unknown
}

interface Sink {
  /** Takes bytes; false where it wants no more for now. */
  readonly take: (bytes: Uint8Array) => boolean
  readonly end: (cut: Cut | undefined) => void
}

/** Moves all of a source into a sink: also what a broken source still holds. */
const drain = (source: Readable, { end, take }: Sink): void => {
  let over = false
  const finish = (cut: Cut | undefined) => {
    if (over) return
    over = true
    let bytes: Uint8Array | null
    while (cut !== undefined && (bytes = source.read()) !== null) take(bytes)
    end(cut)
  }
  source
    .on("data", (bytes: Uint8Array) => {
      if (!over && !take(bytes)) source.pause()
    })
    .on("end", () => finish(undefined))
    .on("error", (cause: unknown) => finish({ cause }))
    .on("close", () => finish({ cause: undefined }))
}

export const makeBody = (response: Readable, encoding: string | undefined): Body => {
  let cut: Cut | undefined
  // The sync flush: what arrived is given out also where the end of the compressed stream did not.
  const gunzip = encoding === "gzip" ? createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }) : undefined
  const source: Readable = gunzip ?? response
  const bytes = new Readable({
    read: () => {
      source.resume()
    },
    destroy: (_, done) => {
      response.destroy()
      gunzip?.destroy()
      done(null)
    }
  })
  drain(source, {
    take: (chunk) => bytes.push(chunk),
    end: (broken) => {
      cut ??= broken
      bytes.push(null)
    }
  })
  if (gunzip !== undefined) {
    gunzip.on("drain", () => response.resume())
    drain(response, {
      take: (chunk) => gunzip.write(chunk),
      end: (broken) => {
        cut ??= broken
        gunzip.end()
      }
    })
  }
  return { bytes, cut: () => cut }
}
