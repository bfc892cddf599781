"""Code lists as their sources publish them, for the readers and the simulator alike."""

CONDITION_NAMES = "ConditionNames_SNOMED-CT.csv"  # the file of ecg-arrhythmia 1.0.0

# ecg-arrhythmia 1.0.0's list, as published. Some rows share a code: the first of them names it.
CONDITIONS = """\
Acronym Name,Full Name,Snomed_CT
1AVB,1 degree atrioventricular block,270492004
2AVB,2 degree atrioventricular block,195042002
2AVB1,2 degree atrioventricular block(Type one),54016002
2AVB2,2 degree atrioventricular block(Type two),28189009
3AVB,3 degree atrioventricular block,27885002
ABI,atrial bigeminy,251173003
ALS,Axis left shift,39732003
APB,atrial premature beats,284470004
AQW,abnormal Q wave,164917005
ARS,Axis right shift,47665007
AVB,atrioventricular block,233917008
CCR,countercolockwise rotation,251199005
CR,colockwise rotation,251198002
ERV,Early repolarization of the ventricles,428417006
FQRS,fQRS Wave,164942001
IDC,Interior differences conduction,698252002
IVB,Intraventricular block,698252002
JEB,junctional escape beat,426995002
JPT,junctional premature beat,251164006
LBBB,left bundle branch block,164909002
LBBBB,left back bundle branch block,164909002
LFBBB,left front bundle branch block,164909002
LVH,left ventricle hypertrophy,164873001
LVQRSAL,lower voltage QRS in all lead,251146004
LVQRSCL,lower voltage QRS in chest lead,251148003
LVQRSLL,lower voltage QRS in limb lead,251147008
MI,myocardial infarction,164865005
MIBW,myocardial infraction in back wall,164865005
MIFW,Myocardial infgraction in the front wall,164865005
MILW,Myocardial infraction in the lower wall,164865005
MISW,Myocardial infraction in the side wall,164865005
PRIE,PR interval extension,164947007
PWC,P wave Change,164912004
QTIE,QT interval extension,111975006
RAH,right atrial hypertrophy,446358003
RBBB,right bundle branch block,59118001
RVH,right ventricle hypertrophy,89792004
STDD,ST drop down,429622005
STE,ST extension,164930006
STTC,ST-T Change,428750005
STTU,ST tilt up,164931005
TWC,T wave Change,164934002
TWO,T wave opposite,59931005
UW,U wave,164937009
VB,ventricular bigeminy,11157007
VEB,ventricular escape beat,75532003
VFW,ventricular fusion wave,13640000
VPB,ventricular premature beat,17338001
VPE,ventricular preexcitation,195060002
VET,ventricular escape trigeminy,251180001
WAVN,Wandering in the atrioventricalualr node,195101003
WPW,WPW,74390002
SB,Sinus Bradycardia,426177001
SR,Sinus Rhythm,426783006
AFIB,Atrial Fibrillation,164889003
ST,Sinus Tachycardia,427084000
AF,Atrial Flutter,164890007
SA,Sinus Irregularity,427393009
SVT,Supraventricular Tachycardia,426761007
AT,Atrial Tachycardia,713422000
AVNRT,Atrioventricular  Node Reentrant Tachycardia,233896004
AVRT,Atrioventricular Reentrant Tachycardia,233897008
SAAWR,Sinus Atrium to Atrial Wandering Rhythm,195101003
"""
