/**
 * The query that describes the schemas $1 (a text[]), one line for each object: what `pg_dump --schema-only` would write, without
 * pg_dump, so that it works on the embedded engine too. $2 names the tables to leave out (the history itself).
 *
 * Columns count from 1 in the order of the table, whatever was dropped between them. Names are qualified only where
 * `search_path` is empty: set it so.
 */
export const schemaSnapshot = `
with ns as (
  select oid, nspname from pg_catalog.pg_namespace where nspname = any ($1::text[])
), rel as (
  select c.*, ns.nspname, format('%I.%I', ns.nspname, c.relname) as name
  from pg_catalog.pg_class c join ns on ns.oid = c.relnamespace
  where not (c.relname = any ($2::text[]))
), col as (
  select a.*, rel.name as relation, rel.relkind,
    row_number() over (partition by a.attrelid order by a.attnum) as place
  from pg_catalog.pg_attribute a join rel on rel.oid = a.attrelid
  where a.attnum > 0 and not a.attisdropped and rel.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
), pro as (
  select p.*, format('%I.%I(%s)', ns.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) as name
  from pg_catalog.pg_proc p join ns on ns.oid = p.pronamespace
), typ as (
  select t.*, format('%I.%I', ns.nspname, t.typname) as name
  from pg_catalog.pg_type t join ns on ns.oid = t.typnamespace
)
select line from (
  select format('relation %s kind %s%s%s%s%s%s%s', name, relkind, relpersistence,
    case when relrowsecurity then ' rls' else '' end,
    case when relforcerowsecurity then ' force-rls' else '' end,
    coalesce(' partition by ' || case when relkind = 'p' then pg_catalog.pg_get_partkeydef(oid) end, ''),
    coalesce(' bound ' || case when relispartition then pg_catalog.pg_get_expr(relpartbound, oid) end, ''),
    coalesce(' with ' || reloptions::text, '')) as line
  from rel where relkind in ('r', 'p', 'v', 'm', 'f', 'c')
  union all
  select format('inherits %s from %s', rel.name, i.inhparent::pg_catalog.regclass)
  from pg_catalog.pg_inherits i join rel on rel.oid = i.inhrelid where rel.relkind in ('r', 'p', 'f')
  union all
  select format('column %s %s %I %s%s%s%s%s', col.relation, col.place, col.attname,
    pg_catalog.format_type(col.atttypid, col.atttypmod),
    coalesce(' collate ' || (select quote_ident(collname) from pg_catalog.pg_collation
      where oid = col.attcollation and collname <> 'default'), ''),
    case when col.attnotnull then ' not null' else '' end,
    coalesce(case when col.attgenerated = '' then ' default ' else ' generated ' end
      || pg_catalog.pg_get_expr(d.adbin, d.adrelid), ''),
    case when col.attidentity = '' then '' else ' identity ' || col.attidentity::text end)
  from col left join pg_catalog.pg_attrdef d on d.adrelid = col.attrelid and d.adnum = col.attnum
  union all
  select format('constraint %s %I %s', coalesce(rel.name, typ.name), k.conname, pg_catalog.pg_get_constraintdef(k.oid))
  from pg_catalog.pg_constraint k
  left join rel on rel.oid = k.conrelid and k.conrelid <> 0
  left join typ on typ.oid = k.contypid and k.contypid <> 0
  where coalesce(rel.name, typ.name) is not null
  union all
  select format('index %s%s', pg_catalog.pg_get_indexdef(i.indexrelid), case when i.indisvalid then '' else ' INVALID' end)
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
  select case when prokind = 'a' then format('aggregate %s', name)
    else format('function %s %s', name, pg_catalog.pg_get_functiondef(oid)) end from pro
  union all
  select format('trigger %s%s', pg_catalog.pg_get_triggerdef(t.oid),
    case t.tgenabled when 'O' then '' else ' ' || t.tgenabled::text end)
  from pg_catalog.pg_trigger t join rel on rel.oid = t.tgrelid where not t.tgisinternal
  union all
  select format('rule %s', pg_catalog.pg_get_ruledef(r.oid))
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
  select format('domain %s %s%s%s', typ.name, pg_catalog.format_type(typ.typbasetype, typ.typtypmod),
    case when typ.typnotnull then ' not null' else '' end, coalesce(' default ' || typ.typdefault, ''))
  from typ where typ.typtype = 'd'
  union all
  select format('comment %s%s %s', rel.name, case d.objsubid when 0 then '' else '.' || col.attname::text end, d.description)
  from pg_catalog.pg_description d
  join rel on rel.oid = d.objoid and d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
  left join col on col.attrelid = d.objoid and col.attnum = d.objsubid
  union all
  select format('grant %s %s', rel.name, g) from rel, unnest(rel.relacl::text[]) as g
  union all
  select format('grant %s.%I %s', col.relation, col.attname, g) from col, unnest(col.attacl::text[]) as g
  union all
  select format('grant %s %s', pro.name, g) from pro, unnest(pro.proacl::text[]) as g
) as lines
order by line collate "C"`
