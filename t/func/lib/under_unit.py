"""The other tests, run inside a box by a service that is confined as ours."""
import os
import re
import shutil

from .box import TOP, unit_text

# What is not copied: those that start services of their own, or need the
# sources.
IGNORED = ('test_units*.py', 'test_systemd.py', 'test_library.py',
           'test_packages.py', 'test_image.py')

# What these look at is another thing there: the filters of the unit count, and
# other processes' descriptors are not to be seen.  No thread may be nicer: the
# unit's filter leaves out all of @resources.  The next two measure time,
# one of them with a priority; the last ones write and run code, as their
# languages do, which is what a unit forbids.
NOT_THERE = ('sandbox.all_threads_of_a_generation_are_confined',
             'sandbox.sandbox_off_is_for_finding_faults',
             'auth.others_go_on_meanwhile',
             'guessing.a_flood_of_guesses_is_in_nobodys_way',
             'reload.the_number_of_workers_may_change',
             'reload_load.no_new_connection_waits_for_a_reload',
             'udp_load.who_floods_harms_himself',
             # These compile as they run.
             'clients_languages.node', 'clients_languages.java',
             'clients_languages.chromium',
             'clients_http.node', 'clients_http.java',
             'clients_web.node', 'clients_web.java', 'clients_web.chromium',
             'http2.', 'http_differ.', 'page.the_page_in_chromium',
             'page.a_browser_is_told_the_best', 'page.a_browser_may_be_told',
             'page.a_browser_fetches_without_us',
             'page.a_browser_finds_its_way_by_the_program',
             'page.hostile_names_are_text',
             # It reads sources.
             'completion.completion_knows_every_option',
             # It builds, where nothing may be written.
             'scale.the_pod_is_one_of_kubernetes',
             'tls_listener.python_and_node_use_it_as_an_https_proxy')


def unit(arguments):
    """A unit that confines the tests, and what they start, like ours."""
    keep = [line for line in unit_text('spliced.service').splitlines()
            if not re.match(r'(Type|NotifyAccess|Exec\w+|Restart\w*|'
                            r'WatchdogSec|KillMode|ProtectProc)=', line)]
    return '\n'.join(keep).replace('[Service]', f'''[Service]
Type=oneshot
TimeoutStartSec=infinity
StandardOutput=truncate:/run/suite.out
StandardError=inherit
ExecStart=/usr/bin/python3 -B /opt/suite/t/func/run.py {arguments}''')


def copy_suite(s):
    top = s.box.path('/opt/suite')
    for name in ('t/func', 't/helper', 'conf', 'man', 'systemd'):
        shutil.copytree(os.path.join(TOP, name), f'{top}/{name}',
                        ignore=shutil.ignore_patterns(*IGNORED))
    for name in ('spliced', 'splicedctl', 'spliced-pam', 't/helper',
                 'bench'):
        path = os.path.join(s.t.build, name)
        if not os.path.exists(path):
            continue
        copy = shutil.copytree if os.path.isdir(path) else shutil.copy
        os.makedirs(os.path.dirname(f'{top}/build/{name}'), exist_ok=True)
        copy(path, f'{top}/build/{name}')


def run(s, log, pattern=None):
    """Names of the tests that fail; all that they said goes to `log`."""
    copy_suite(s)
    only = f' -k "{pattern}"' if pattern else ''
    s.box.write('/etc/systemd/system/suite.service',
                unit('--build /opt/suite/build' + only))
    s.box.systemctl('daemon-reload')
    try:
        s.box.systemctl('start', 'suite.service', check=False, seconds=1100)
    finally:
        shutil.copyfile(s.box.path('/run/suite.out'), log)
    with open(log, encoding='utf-8', errors='replace') as f:
        text = f.read()
    counts = re.search(r'^func: (\d+) passed', text, re.M)
    assert counts and (pattern or int(counts[1]) > 300), text[-1000:]
    print(counts.string[counts.start():].splitlines()[0])
    # At the end of the report, not the lines with a time: what failed beside
    # others has had another try.  Too many of those are another matter.
    failed = set(re.findall(r'^FAIL (?! *[\d.]+ s )(.+)$', text, re.M))
    failed -= set(re.findall(r'^unsteady (.+)$', text, re.M))
    return sorted(x for x in failed if not x.startswith(NOT_THERE))
