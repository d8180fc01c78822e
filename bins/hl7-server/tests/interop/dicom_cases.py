"""The matching cases of medsynapse-worklist, asked by DCMTK's findscu and by pynetdicom.

Usage: dicom_cases.py ADDRESS CASES findscu|pynetdicom

CASES is crates/medsynapse-worklist/tests/cases/matching.tsv; the broker at ADDRESS must hold the
orders beside it and nothing else. Ends with 0 when every case gives what the table says.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

TITLE = "MEDSYNAPSE"


def cases(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.rstrip("\n")
            if line and not line.startswith("#"):
                name, keys, expected = line.split("\t")
                yield name, keys, expected


def parsed(keys):
    """The keys as (path, value), paths like () / ("SPS",) / ("SPS", "Protocol"), and whether an
    empty sequence or one with an empty item is asked for."""
    entries, form = [], None
    for key in (key.strip() for key in keys.split(";")):
        if not key:
            continue
        name, _, value = key.partition("=")
        name = name.strip()
        if name == "SPS":
            form = "empty"
        elif name == "SPS.":
            form = "item"
        elif name.startswith("SPS.Protocol."):
            entries.append((("SPS", "Protocol"), name[len("SPS.Protocol."):], value))
        elif name.startswith("SPS."):
            entries.append((("SPS",), name[len("SPS."):], value))
        else:
            entries.append(((), name, value))
    return entries, form


# --- pynetdicom --------------------------------------------------------------------------------


def dataset(keys):
    from pydicom.datadict import dictionary_VR, tag_for_keyword
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    entries, form = parsed(keys)
    root, step, code = Dataset(), Dataset(), Dataset()
    has_step = has_code = False
    if not keys.isascii():
        root.SpecificCharacterSet = "ISO_IR 192"
    for path, name, value in entries:
        target = root
        if path == ("SPS",):
            target, has_step = step, True
        elif path == ("SPS", "Protocol"):
            target, has_step, has_code = code, True, True
        tag = tag_for_keyword(name)
        if dictionary_VR(tag) == "SQ":
            target.add_new(tag, "SQ", [])
        else:
            target.add_new(tag, dictionary_VR(tag), value.split("\\") if "\\" in value else value)
    if has_code:
        step.ScheduledProtocolCodeSequence = Sequence([code])
    if has_step or form == "item":
        root.ScheduledProcedureStepSequence = Sequence([step])
    elif form == "empty":
        root.ScheduledProcedureStepSequence = Sequence([])
    return root


def pynetdicom_runner(host, port):
    from pydicom import config as pydicom_config
    from pynetdicom import AE, _config
    from pynetdicom.sop_class import ModalityWorklistInformationFind

    # The cases hold values that are wrong on purpose.
    pydicom_config.settings.writing_validation_mode = pydicom_config.IGNORE
    pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
    _config.LOG_HANDLER_LEVEL = "none"
    ae = AE(ae_title="CT1")
    ae.add_requested_context(ModalityWorklistInformationFind)
    association = ae.associate(host, port, ae_title=TITLE)
    if not association.is_established:
        sys.exit("no association")

    def run(keys):
        found, pending = [], set()
        for status, identifier in association.send_c_find(
            dataset(keys), ModalityWorklistInformationFind
        ):
            if not status:
                sys.exit("no answer")
            code = status.Status
            if code in (0xFF00, 0xFF01):
                pending.add(code)
                found.append(str(identifier.AccessionNumber))
                continue
            if code:
                found.append(f"{code:04X}")
                tags = status.get("OffendingElement")
                if tags is not None:
                    tags = tags if isinstance(tags, (list, tuple)) else [tags]
                    found += [f"({int(t) >> 16:04X},{int(t) & 0xFFFF:04X})" for t in tags]
        if 0xFF01 in pending:
            found.insert(0, "FF01")
        return " ".join(found) or "-"

    return run, association.release


# --- DCMTK -------------------------------------------------------------------------------------


def findscu_runner(host, port):
    program = "/usr/bin/findscu"
    if not os.path.exists(program):
        sys.exit(f"{program} is not there: apt-get install dcmtk")
    dump2dcm = shutil.which("dump2dcm")

    def text_of(keys):
        """The identifier as dump2dcm reads it."""
        from pydicom.datadict import dictionary_VR, tag_for_keyword

        def element(name, value):
            tag = tag_for_keyword(name)
            group, number = tag >> 16, tag & 0xFFFF
            return (tag, f"({group:04x},{number:04x}) {dictionary_VR(tag)} [{value}]")

        entries, form = parsed(keys)
        root = [element(name, value) for path, name, value in entries if path == ()]
        if not keys.isascii():
            root.append((0x00080005, "(0008,0005) CS [ISO_IR 192]"))
        step = [element(name, value) for path, name, value in entries if path == ("SPS",)]
        code = [element(name, value) for path, name, value in entries if len(path) == 2]
        if code:
            lines = "\n".join(text for _, text in sorted(code))
            nested = f"(0040,0008) SQ\n(fffe,e000) -\n{lines}\n(fffe,e00d) -\n(fffe,e0dd) -"
            step.append((0x00400008, nested))
        if step or form == "item":
            lines = "\n".join(text for _, text in sorted(step))
            nested = f"(0040,0100) SQ\n(fffe,e000) -\n{lines}\n(fffe,e00d) -\n(fffe,e0dd) -"
            root.append((0x00400100, nested))
        elif form == "empty":
            root.append((0x00400100, "(0040,0100) SQ\n(fffe,e0dd) -"))
        return "\n".join(text for _, text in sorted(root)) + "\n"

    def accession(path):
        from pydicom import dcmread

        return str(dcmread(path, force=True).AccessionNumber)

    def run(keys):
        with tempfile.TemporaryDirectory() as directory:
            dump, query = os.path.join(directory, "q.dump"), os.path.join(directory, "q.dcm")
            with open(dump, "w", encoding="utf-8") as file:
                file.write(text_of(keys))
            made = subprocess.run([dump2dcm, "-q", "-g", "+te", dump, query], capture_output=True)
            if made.returncode:
                sys.exit(f"dump2dcm: {made.stderr.decode()}\n{text_of(keys)}")
            asked = subprocess.run(
                [program, "-v", "-d", "-W", "-X", "-od", directory]
                + ["-aet", "CT1", "-aec", TITLE, host, str(port), query],
                capture_output=True,
                timeout=60,
            )
            answers = sorted(name for name in os.listdir(directory) if name.startswith("rsp"))
            found = [accession(os.path.join(directory, name)) for name in answers]
        text = (asked.stdout + asked.stderr).decode("utf-8", "replace")
        codes = [int(code, 16) for code in re.findall(r"DIMSE Status\s*:\s*0x([0-9a-f]{4})", text)]
        found += [f"{code:04X}" for code in codes if code not in (0, 0xFF00, 0xFF01)]
        pending = set(codes)
        if 0xFF01 in pending:
            found.insert(0, "FF01")
        return " ".join(found) or "-"

    return run, lambda: None


def main():
    address, path, client = sys.argv[1:4]
    host, _, port = address.rpartition(":")
    runner = {"findscu": findscu_runner, "pynetdicom": pynetdicom_runner}[client]
    run, done = runner(host, int(port))
    wrong = count = 0
    for name, keys, expected in cases(path):
        asked = keys if "AccessionNumber" in keys else f"{keys}; AccessionNumber"
        got = run(asked)
        # findscu does not say which element is wrong: the status is compared.
        if client == "findscu" and expected.startswith("A900"):
            expected, got = expected[:4], got[:4]
        count += 1
        if got != expected:
            wrong += 1
            print(f"{name} [{keys}]: expected {expected}, {client} got {got}")
    done()
    print(f"{client}: {count - wrong} of {count} cases agree")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
