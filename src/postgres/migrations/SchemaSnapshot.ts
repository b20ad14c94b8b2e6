/**
 * The query that describes the schemas $1 (a text[]), one line for each object: what `pg_dump --schema-only` would write of them,
 * without pg_dump, so that it works on the embedded engine too. $2 names the tables to leave out (the history itself).
 *
 * An owner is told where it is not the schema's own. Not looked at are: operators with their classes and families, base types,
 * conversions, and text search; tablespaces, access methods, security labels, the table type of a typed table, server and options
 * of a foreign one; whether an inherited column is declared again; and what is in no schema, such as extensions, casts, event
 * triggers and publications.
 *
 * Columns count from 1 in the order of the table, whatever was dropped between them. Names are qualified only where
 * `search_path` is empty: set it so.
 */
export const schemaSnapshot = `
with ns as (
  select oid, nspname, nspowner, nspacl from pg_catalog.pg_namespace where nspname = any ($1::text[])
), rel as (
  select c.*, ns.nspname, ns.nspowner, format('%I.%I', ns.nspname, c.relname) as name
  from pg_catalog.pg_class c join ns on ns.oid = c.relnamespace
  where not (c.relname = any ($2::text[]))
), col as (
  select a.*, rel.name as relation, rel.relkind,
    row_number() over (partition by a.attrelid order by a.attnum) as place
  from pg_catalog.pg_attribute a join rel on rel.oid = a.attrelid
  where a.attnum > 0 and not a.attisdropped and rel.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
), pro as (
  select p.*, ns.nspowner, format('%I.%I(%s)', ns.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) as name
  from pg_catalog.pg_proc p join ns on ns.oid = p.pronamespace
), typ as (
  select t.*, ns.nspowner, format('%I.%I', ns.nspname, t.typname) as name
  from pg_catalog.pg_type t join ns on ns.oid = t.typnamespace
  where t.typtype in ('e', 'd', 'r') or t.typtype = 'c' and exists (select from rel where rel.oid = t.typrelid and rel.relkind = 'c')
), stx as (
  select s.*, ns.nspowner, format('%I.%I', ns.nspname, s.stxname) as name
  from pg_catalog.pg_statistic_ext s join ns on ns.oid = s.stxnamespace
), coll as (
  select c.*, ns.nspowner, format('%I.%I', ns.nspname, c.collname) as name
  from pg_catalog.pg_collation c join ns on ns.oid = c.collnamespace
)
select line from (
  select format('schema %I owner %s', nspname, pg_catalog.pg_get_userbyid(nspowner)) as line from ns
  union all
  select format('owner %s %s', name, pg_catalog.pg_get_userbyid(owner)) from (
    select name, relowner as owner, nspowner from rel where relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all select name, proowner, nspowner from pro
    union all select name, typowner, nspowner from typ
    union all select name, stxowner, nspowner from stx
    union all select name, collowner, nspowner from coll
  ) as own where owner <> nspowner
  union all
  select format('relation %s kind %s%s%s%s%s%s%s%s', name, relkind, relpersistence,
    case when relrowsecurity then ' rls' else '' end,
    case when relforcerowsecurity then ' force-rls' else '' end,
    coalesce(' partition by ' || case when relkind = 'p' then pg_catalog.pg_get_partkeydef(oid) end, ''),
    coalesce(' bound ' || case when relispartition then pg_catalog.pg_get_expr(relpartbound, oid) end, ''),
    coalesce(' with ' || reloptions::text, ''),
    case when relkind in ('r', 'p') and relreplident <> 'd' then ' replica identity ' || relreplident::text else '' end)
  from rel where relkind in ('r', 'p', 'v', 'm', 'f', 'c')
  union all
  select format('inherits %s from %s', rel.name, i.inhparent::pg_catalog.regclass)
  from pg_catalog.pg_inherits i join rel on rel.oid = i.inhrelid where rel.relkind in ('r', 'p', 'f')
  union all
  select format('column %s %s %I %s%s%s%s%s%s%s%s%s', col.relation, col.place, col.attname,
    pg_catalog.format_type(col.atttypid, col.atttypmod),
    coalesce(' collate ' || (select quote_ident(collname) from pg_catalog.pg_collation
      where oid = col.attcollation and collname <> 'default'), ''),
    case when col.attnotnull then ' not null' else '' end,
    coalesce(case when col.attgenerated = '' then ' default ' else ' generated ' end
      || pg_catalog.pg_get_expr(d.adbin, d.adrelid), ''),
    case when col.attidentity = '' then '' else ' identity ' || col.attidentity::text end,
    case when col.attstorage = kind.typstorage then '' else ' storage ' || col.attstorage::text end,
    case when col.attcompression = '' then '' else ' compression ' || col.attcompression::text end,
    coalesce(' statistics ' || nullif(col.attstattarget, -1), ''),
    coalesce(' options ' || col.attoptions::text, ''))
  from col join pg_catalog.pg_type kind on kind.oid = col.atttypid left join pg_catalog.pg_attrdef d on d.adrelid = col.attrelid and d.adnum = col.attnum
  union all
  select format('constraint %s %I %s', coalesce(rel.name, typ.name), k.conname, pg_catalog.pg_get_constraintdef(k.oid))
  from pg_catalog.pg_constraint k
  left join rel on rel.oid = k.conrelid and k.conrelid <> 0
  left join typ on typ.oid = k.contypid and k.contypid <> 0
  where coalesce(rel.name, typ.name) is not null
  union all
  select format('index %s%s%s%s', pg_catalog.pg_get_indexdef(i.indexrelid), case when i.indisvalid then '' else ' INVALID' end,
    case when i.indisreplident then ' replica identity' else '' end, case when i.indisclustered then ' clustered' else '' end)
  from pg_catalog.pg_index i join rel on rel.oid = i.indrelid
  union all
  select format('view %s %s', name, pg_catalog.pg_get_viewdef(oid)) from rel where relkind in ('v', 'm')
  union all
  select format('sequence %s %s start %s by %s min %s max %s%s owned by %s', rel.name,
    pg_catalog.format_type(s.seqtypid, null), s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
    case when s.seqcycle then ' cycle' else '' end,
    (select d.refobjid::pg_catalog.regclass::text || '.' || d.refobjsubid from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = rel.oid and d.deptype in ('a', 'i')
        and d.refobjsubid > 0 limit 1))
  from pg_catalog.pg_sequence s join rel on rel.oid = s.seqrelid
  union all
  select format('function %s %s', name, pg_catalog.pg_get_functiondef(oid)) from pro where prokind <> 'a'
  union all
  select format('aggregate %s %s %s %s %s %s', pro.name, a.aggkind, a.aggtransfn, a.aggfinalfn,
    pg_catalog.format_type(a.aggtranstype, null), a.agginitval)
  from pg_catalog.pg_aggregate a join pro on pro.oid = a.aggfnoid
  union all
  select format('trigger %s%s', pg_catalog.pg_get_triggerdef(t.oid),
    case t.tgenabled when 'O' then '' else ' ' || t.tgenabled::text end)
  from pg_catalog.pg_trigger t join rel on rel.oid = t.tgrelid where not t.tgisinternal
  union all
  select format('rule %s%s', pg_catalog.pg_get_ruledef(r.oid),
    case r.ev_enabled when 'O' then '' else ' ' || r.ev_enabled::text end)
  from pg_catalog.pg_rewrite r join rel on rel.oid = r.ev_class where r.rulename <> '_RETURN'
  union all
  select format('policy %s %I %s %s to %s using %s check %s', rel.name, p.polname, p.polcmd, p.polpermissive,
    (select string_agg(coalesce(r.rolname, 'public'), ', ' order by r.rolname) from unnest(p.polroles) as u(oid)
      left join pg_catalog.pg_roles r on r.oid = u.oid),
    pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
  from pg_catalog.pg_policy p join rel on rel.oid = p.polrelid
  union all
  select format('enum %s %s', typ.name, string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder))
  from pg_catalog.pg_enum e join typ on typ.oid = e.enumtypid group by typ.name
  union all
  select format('range %s of %s %s %s', typ.name, pg_catalog.format_type(r.rngsubtype, null), r.rngcanonical, r.rngsubdiff)
  from pg_catalog.pg_range r join typ on typ.oid = r.rngtypid
  union all
  select format('domain %s %s%s%s', typ.name, pg_catalog.format_type(typ.typbasetype, typ.typtypmod),
    case when typ.typnotnull then ' not null' else '' end, coalesce(' default ' || typ.typdefault, ''))
  from typ where typ.typtype = 'd'
  union all
  select format('statistics %s%s', pg_catalog.pg_get_statisticsobjdef(oid),
    coalesce(' target ' || nullif(stxstattarget, -1), '')) from stx
  union all
  select format('collation %s %s', name, (select to_jsonb(c) from pg_catalog.pg_collation c where c.oid = coll.oid)
    - array['oid', 'collname', 'collnamespace', 'collowner', 'collversion']) from coll
  union all
  -- What initdb made, and said of it, has smaller numbers.
  select format('comment %s %s %s', o.type, o.identity, d.description)
  from pg_catalog.pg_description d, pg_catalog.pg_identify_object(d.classoid, d.objoid, d.objsubid) as o
  where d.objoid >= 16384 and case d.classoid
    when 'pg_catalog.pg_class'::pg_catalog.regclass then d.objoid in (select oid from rel)
    when 'pg_catalog.pg_namespace'::pg_catalog.regclass then d.objoid in (select oid from ns)
    when 'pg_catalog.pg_proc'::pg_catalog.regclass then d.objoid in (select oid from pro)
    when 'pg_catalog.pg_type'::pg_catalog.regclass then d.objoid in (select oid from typ)
    when 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass then d.objoid in (select oid from stx)
    when 'pg_catalog.pg_collation'::pg_catalog.regclass then d.objoid in (select oid from coll)
    when 'pg_catalog.pg_constraint'::pg_catalog.regclass then d.objoid in (
      select oid from pg_catalog.pg_constraint
      where conrelid in (select oid from rel) or contypid in (select oid from typ))
    when 'pg_catalog.pg_trigger'::pg_catalog.regclass then d.objoid in (
      select oid from pg_catalog.pg_trigger where tgrelid in (select oid from rel))
    when 'pg_catalog.pg_rewrite'::pg_catalog.regclass then d.objoid in (
      select oid from pg_catalog.pg_rewrite where ev_class in (select oid from rel))
    when 'pg_catalog.pg_policy'::pg_catalog.regclass then d.objoid in (
      select oid from pg_catalog.pg_policy where polrelid in (select oid from rel))
    else false end
  union all
  select format('grant schema %I %s', nspname, g) from ns, unnest(nspacl::text[]) as g
  union all
  select format('grant type %s %s', typ.name, g) from typ, unnest(typ.typacl::text[]) as g
  union all
  select format('default grant in %I by %s on %s %s', ns.nspname, pg_catalog.pg_get_userbyid(a.defaclrole), a.defaclobjtype, g)
  from pg_catalog.pg_default_acl a join ns on ns.oid = a.defaclnamespace, unnest(a.defaclacl::text[]) as g
  union all
  select format('grant %s %s', rel.name, g) from rel, unnest(rel.relacl::text[]) as g
  union all
  select format('grant %s.%I %s', col.relation, col.attname, g) from col, unnest(col.attacl::text[]) as g
  union all
  select format('grant %s %s', pro.name, g) from pro, unnest(pro.proacl::text[]) as g
) as lines
order by line collate "C"`
