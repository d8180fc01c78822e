"""Verification and performed procedure steps, asked by pynetdicom. Usage: dicom_steps.py ADDRESS

The broker at ADDRESS must hold the orders of the matching cases.
"""

import sys

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    Verification,
)

host, _, port = sys.argv[1].rpartition(":")


def association():
    ae = AE(ae_title="CT1")
    for context in (ModalityPerformedProcedureStep, ModalityWorklistInformationFind, Verification):
        ae.add_requested_context(context)
    made = ae.associate(host, int(port), ae_title="MEDSYNAPSE")
    assert made.is_established
    return made


def scheduled(assoc, accession):
    query = Dataset()
    query.AccessionNumber = accession
    query.StudyInstanceUID = ""
    found = assoc.send_c_find(query, ModalityWorklistInformationFind)
    return [item for status, item in found if status.Status in (0xFF00, 0xFF01)]


assoc = association()
assert assoc.send_c_echo().Status == 0
items = scheduled(assoc, "ACC004")
assert len(items) == 1, items
uid = generate_uid()
step = Dataset()
step.PerformedProcedureStepStatus = "IN PROGRESS"
reference = Dataset()
reference.AccessionNumber = "ACC004"
reference.StudyInstanceUID = items[0].StudyInstanceUID
reference.ScheduledProcedureStepID = "ST004"
step.ScheduledStepAttributesSequence = [reference]
end = Dataset()
end.PerformedProcedureStepStatus = "COMPLETED"
steps = [
    ("N-SET before N-CREATE", lambda: assoc.send_n_set(end, ModalityPerformedProcedureStep, uid), 0x0112),
    ("N-CREATE COMPLETED", lambda: assoc.send_n_create(end, ModalityPerformedProcedureStep, uid), 0x0106),
    ("N-CREATE", lambda: assoc.send_n_create(step, ModalityPerformedProcedureStep, uid), 0),
    ("N-CREATE again", lambda: assoc.send_n_create(step, ModalityPerformedProcedureStep, uid), 0x0111),
    ("N-SET", lambda: assoc.send_n_set(end, ModalityPerformedProcedureStep, uid), 0),
    ("N-SET after the end", lambda: assoc.send_n_set(end, ModalityPerformedProcedureStep, uid), 0x0110),
]
for name, do, expected in steps:
    status, _ = do()
    assert status.Status == expected, f"{name}: {status.Status:04X}, expected {expected:04X}"
assert scheduled(assoc, "ACC004") == []
assoc.release()
print("pynetdicom: verification and procedure steps agree")
