// What is wrong in a resource: line, object, field and value are named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/policy/documents.h"

namespace sluice::policy {
namespace {

using testing::StartsWith;

struct ErrorCase {
  const char* name;
  std::string text;
  std::string error;
};

void PrintTo(const ErrorCase& c, std::ostream* out) { *out << c.name; }

class ResourceErrorTest : public testing::TestWithParam<ErrorCase> {};

TEST_P(ResourceErrorTest, NamesLineObjectFieldAndValue) {
  EXPECT_THAT(ErrorOf(GetParam().text), StartsWith(GetParam().error));
}

constexpr char kPolicy[] = "NetworkPolicy shop/db: ";

const ErrorCase kTypeCases[] = {
    {"NotAMap", "- a\n", At(1, "document 1: must be a map, got a list")},
    {"NoApiVersion", "kind: Pod\n", At(1, "document 1: apiVersion: missing")},
    {"NoKind", "---\n---\napiVersion: v1\n", At(3, "document 2: kind: missing")},
    {"UnknownKind", "apiVersion: apps/v1\nkind: Deployment\n",
     At(2,
        "document 1: kind: apiVersion \"apps/v1\" has no kind \"Deployment\" here; known are v1 List, v1 Namespace, ")},
    {"UnknownApiVersion", "apiVersion: networking.k8s.io/v1beta1\nkind: NetworkPolicy\n",
     At(2, "document 1: kind: apiVersion \"networking.k8s.io/v1beta1\"")},
    {"KindNotString", "apiVersion: v1\nkind: 5\n", At(2, "document 1: kind: must be a string: quote it (\"5\")")},
    {"ListUnknownField", "apiVersion: v1\nkind: List\nitem: []\n", At(3, "document 1: item: unknown field")},
    {"ListItem", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Node}\n",
     At(4, "document 1 items[0]: kind: ")},
};

const ErrorCase kMetadataCases[] = {
    {"NoMetadata", "apiVersion: v1\nkind: Pod\n", At(1, "Pod (document 1): metadata: missing")},
    {"NoName", "apiVersion: v1\nkind: Pod\nmetadata: {generateName: p-}\n",
     At(3, "Pod (document 1): metadata.name: missing")},
    {"BadName", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: Web_1\n",
     At(4, "Pod default/Web_1: metadata.name: \"Web_1\" is not a DNS-1123 subdomain")},
    {"NamespaceWithDot", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a.b}\n",
     At(3, "Namespace a.b: metadata.name: \"a.b\" is not a DNS-1123 label")},
    {"BadNamespace", "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: -b}\n",
     At(3, "Pod -b/a: metadata.namespace: \"-b\" is not a DNS-1123 label")},
    {"NumericName", "apiVersion: v1\nkind: Pod\nmetadata: {name: 12}\n",
     At(3, "Pod default/12: metadata.name: must be a string: quote it (\"12\")")},
    {"UnknownField", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  label: {}\n",
     At(5, "Pod default/p: metadata.label: unknown field")},
    {"LabelBool", Labelled("on: true"),
     At(6, "Pod default/p: metadata.labels.on: must be a string: quote it (\"true\")")},
    {"LabelYes", Labelled("on: yes"), At(6, "Pod default/p: metadata.labels.on: must be a string: quote it (\"yes\")")},
    {"LabelNumber", Labelled("v: 1.5"),
     At(6, "Pod default/p: metadata.labels.v: must be a string: quote it (\"1.5\")")},
    {"LabelExponent", Labelled("v: 1e10"),
     At(6, "Pod default/p: metadata.labels.v: must be a string: quote it (\"1e10\")")},
    {"LabelHex", Labelled("v: 0x1F"), At(6, "Pod default/p: metadata.labels.v: must be a string: quote it (\"0x1F\")")},
    {"LabelKey", Labelled("a b: c"),
     At(6, "Pod default/p: metadata.labels[\"a b\"]: the key \"a b\" is not a label key")},
    {"LabelKeyPrefix", Labelled("A/b: c"),
     At(6, "Pod default/p: metadata.labels[\"A/b\"]: the key \"A/b\" is not a label key")},
    {"LabelValue", Labelled("a: -c"), At(6, "Pod default/p: metadata.labels.a: \"-c\" is not a label value")},
    {"LabelLong", Labelled("a: " + std::string(64, 'x')), At(6, "Pod default/p: metadata.labels.a: \"xxx")},
    {"AnnotationNumber", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {a: 1}}\n",
     At(3, "Pod default/p: metadata.annotations.a: must be a string: quote it (\"1\")")},
    {"MetadataNameLabel",
     "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {kubernetes.io/metadata.name: b}}\n",
     At(1, "Namespace a: metadata.labels[\"kubernetes.io/metadata.name\"]: must be \"a\"")},
    {"TopLevel", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\ndata: {}\n",
     At(4, "Namespace a: data: unknown field")},
};

const ErrorCase kPolicyCases[] = {
    {"NoSpec", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db, namespace: shop}\n",
     At(1, std::string(kPolicy) + "spec: missing")},
    {"UnknownTop", Policy("  {}\nspecs: {}\n"), At(6, std::string(kPolicy) + "specs: unknown field")},
    {"UnknownSpec", Policy("  podSelectors: {}\n"), At(5, std::string(kPolicy) + "spec.podSelectors: unknown field")},
    {"UnknownRule", Policy("  ingress:\n  - to: []\n"),
     At(6, std::string(kPolicy) + "spec.ingress[0].to: unknown field")},
    {"UnknownEgressRule", Policy("  egress:\n  - from: []\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].from: unknown field")},
    {"UnknownPeer", Policy("  ingress:\n  - from:\n    - podSelektor: {}\n"),
     At(7, std::string(kPolicy) + "spec.ingress[0].from[0].podSelektor: unknown field")},
    {"SluiceActionInKubernetes", Policy("  ingress:\n  - action: Deny\n"),
     At(6,
        std::string(kPolicy) +
            "spec.ingress[0].action: unknown field: only the NetworkPolicy of apiVersion sluice.dev/v1alpha1 has it")},
    {"SluiceModeInKubernetes", Policy("  mode: Audit\n"),
     At(5, std::string(kPolicy) + "spec.mode: unknown field: only")},
    {"NullRule", Policy("  ingress:\n  - ~\n"),
     At(6, std::string(kPolicy) + "spec.ingress[0]: must be a map, got null")},
    {"RulesNotList", Policy("  ingress: {}\n"),
     At(5, std::string(kPolicy) + "spec.ingress: must be a list, got a map")},
    {"EmptyPeer", Policy("  ingress: [{from: [{}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].from[0]: needs podSelector, namespaceSelector or ipBlock")},
    {"MixedPeer", Policy("  egress: [{to: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]\n"),
     At(5, std::string(kPolicy) + "spec.egress[0].to[0].ipBlock: cannot be combined with")},
    {"BadCidr", Policy("  egress: [{to: [{ipBlock: {cidr: 10.0.0/8}}]}]\n"),
     At(5, std::string(kPolicy) + "spec.egress[0].to[0].ipBlock.cidr: \"10.0.0/8\" is not a CIDR")},
    {"NoCidr", Policy("  egress: [{to: [{ipBlock: {}}]}]\n"),
     At(5, std::string(kPolicy) + "spec.egress[0].to[0].ipBlock.cidr: missing")},
    {"ExceptOutside", Policy("  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 11.0.0.0/16]}}]}]\n"),
     At(5, std::string(kPolicy) +
               "spec.egress[0].to[0].ipBlock.except[1]: 11.0.0.0/16 is not strictly inside cidr 10.0.0.0/8")},
    {"ExceptSame", Policy("  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]\n"),
     At(5, std::string(kPolicy) + "spec.egress[0].to[0].ipBlock.except[0]: 10.0.0.0/8 is not strictly inside")},
    {"ExceptOtherFamily", Policy("  egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: ['fd00::/8']}}]}]\n"),
     At(5, std::string(kPolicy) + "spec.egress[0].to[0].ipBlock.except[0]: fd00::/8 is not strictly inside")},
    {"BadExcept", Policy("  egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [x]}}]}]\n"),
     At(5, std::string(kPolicy) + "spec.egress[0].to[0].ipBlock.except[0]: \"x\" is not a CIDR")},
    {"EndPortBelow", Policy("  ingress:\n  - ports:\n    - port: 80\n      endPort: 79\n"),
     At(8, std::string(kPolicy) + "spec.ingress[0].ports[0].endPort: 79 is below port 80")},
    {"EndPortNamed", Policy("  ingress: [{ports: [{port: http, endPort: 90}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].endPort: needs a numeric port, not \"http\"")},
    {"EndPortAlone", Policy("  ingress: [{ports: [{endPort: 90}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].endPort: needs port")},
    {"EndPortString", Policy("  ingress: [{ports: [{port: 80, endPort: '90'}]}]\n"),
     At(5, std::string(kPolicy) +
               "spec.ingress[0].ports[0].endPort: must be a decimal number from 1 to 65535, got \"90\"")},
    {"PortZero", Policy("  ingress: [{ports: [{port: 0}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: must be a decimal number from 1 to 65535, got 0")},
    {"PortLarge", Policy("  ingress: [{ports: [{port: 65536}]}]\n"),
     At(5,
        std::string(kPolicy) + "spec.ingress[0].ports[0].port: must be a decimal number from 1 to 65535, got 65536")},
    {"PortNegative", Policy("  ingress: [{ports: [{port: -1}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: must be a decimal number")},
    {"PortOctal", Policy("  ingress: [{ports: [{port: 0120}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: must be a decimal number from 1 to 65535, got 0120")},
    {"PortFraction", Policy("  ingress: [{ports: [{port: 80.0}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: must be a decimal number")},
    {"PortHuge", Policy("  ingress: [{ports: [{port: 18446744073709551696}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: must be a decimal number")},
    {"PortQuotedNumber", Policy("  ingress: [{ports: [{port: '80'}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: \"80\" is a string, so it is a port's name")},
    {"PortNameLong", Policy("  ingress: [{ports: [{port: a123456789012345}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: \"a123456789012345\" is not a port name")},
    {"PortNameUpper", Policy("  ingress: [{ports: [{port: HTTP}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: \"HTTP\" is not a port name")},
    {"PortNameHyphens", Policy("  ingress: [{ports: [{port: a--b}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: \"a--b\" is not a port name")},
    {"PortNameEmpty", Policy("  ingress: [{ports: [{port: ''}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: \"\" is not a port name")},
    {"PortMap", Policy("  ingress: [{ports: [{port: {}}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: must be a string, got a map")},
    {"Protocol", Policy("  ingress: [{ports: [{protocol: tcp}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].protocol: must be TCP, UDP or SCTP, got \"tcp\"")},
    {"PolicyType", Policy("  policyTypes: [ingress]\n"),
     At(5, std::string(kPolicy) + "spec.policyTypes[0]: must be Ingress or Egress, got \"ingress\"")},
    {"Operator", Policy("  podSelector: {matchExpressions: [{key: a, operator: Equals, values: [b]}]}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchExpressions[0].operator: must be In, NotIn, Exists or "
                                  "DoesNotExist, got \"Equals\"")},
    {"OperatorMissing", Policy("  podSelector: {matchExpressions: [{key: a}]}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchExpressions[0].operator: missing")},
    {"KeyMissing", Policy("  podSelector: {matchExpressions: [{operator: Exists}]}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchExpressions[0].key: missing")},
    {"InWithoutValues", Policy("  podSelector: {matchExpressions: [{key: a, operator: In}]}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchExpressions[0]: operator In needs at least one value")},
    {"NotInEmptyValues", Policy("  podSelector: {matchExpressions: [{key: a, operator: NotIn, values: []}]}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchExpressions[0]: operator NotIn needs at least one value")},
    {"ExistsWithValues", Policy("  podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchExpressions[0]: operator Exists takes no values")},
    {"DoesNotExistWithValues",
     Policy("  podSelector: {matchExpressions: [{key: a, operator: DoesNotExist, values: [b]}]}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchExpressions[0]: operator DoesNotExist takes no values")},
    {"SelectorValueNumber", Policy("  podSelector: {matchLabels: {a: 1}}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchLabels.a: must be a string: quote it (\"1\")")},
    {"SelectorUnknown", Policy("  podSelector: {app: web}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.app: unknown field")},
    {"ProcessesInKubernetes", Policy("  egress:\n  - processes: {binaries: [/a]}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes: unknown field: only")},
    {"UnknownProcessesInKubernetes", Policy("  unknownProcesses: Allow\n"),
     At(5, std::string(kPolicy) + "spec.unknownProcesses: unknown field: only")},
    {"UnknownProcesses", SluicePolicy("  unknownProcesses: Drop\n"),
     At(5, std::string(kPolicy) + "spec.unknownProcesses: must be Deny or Allow, got \"Drop\"")},
    {"ProcessesNull", SluicePolicy("  egress:\n  - ports: [{port: 80}]\n    processes:\n"),
     At(7, std::string(kPolicy) + "spec.egress[0].processes: has no value: give it one, or leave the field out")},
    {"ProcessesTilde", SluicePolicy("  ingress: [{action: Deny, processes: ~}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].processes: has no value")},
    {"ProcessesNullBinaries", SluicePolicy("  egress:\n  - processes: {binaries: ~, ancestors: [/a]}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries: has no value")},
    {"ProcessesNullAncestors", SluicePolicy("  egress:\n  - processes: {binaries: [/a], ancestors: null}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.ancestors: has no value")},
    {"ProcessesNotMap", SluicePolicy("  egress:\n  - processes: [/usr/bin/psql]\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes: must be a map, got a list")},
    {"ProcessesField", SluicePolicy("  egress:\n  - processes: {binary: [/a]}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binary: unknown field")},
    {"ProcessesNeither", SluicePolicy("  egress:\n  - processes: {}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes: needs binaries or ancestors")},
    {"ProcessesEmptyBinaries", SluicePolicy("  egress:\n  - processes: {binaries: [], ancestors: [/a]}\n"),
     At(6, std::string(kPolicy) +
               "spec.egress[0].processes.binaries: needs at least one pattern: leave the field out to match any")},
    {"ProcessesEmptyAncestors", SluicePolicy("  egress:\n  - processes: {ancestors: []}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.ancestors: needs at least one pattern")},
    {"ProcessesNotList", SluicePolicy("  egress:\n  - processes: {binaries: /usr/bin/psql}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries: must be a list, got \"/usr/bin/psql\"")},
    {"ProcessesNotString", SluicePolicy("  egress:\n  - processes: {binaries: [/a, 5]}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[1]: must be a string: quote it (\"5\")")},
    {"ProcessesRelative", SluicePolicy("  egress:\n  - processes: {ancestors: [/a, bin/psql]}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.ancestors[1]: \"bin/psql\" is not a pattern of absolute "
                                  "paths: it must start with \"/\" or \"**\"")},
    {"ProcessesOneStar", SluicePolicy("  egress:\n  - processes: {binaries: ['*/psql']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"*/psql\" is not a pattern")},
    {"ProcessesQuestionMark", SluicePolicy("  egress:\n  - processes: {binaries: ['?bin']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"?bin\" is not a pattern")},
    {"ProcessesEmptyPattern", SluicePolicy("  egress:\n  - processes: {binaries: ['']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"\" is not a pattern")},
    {"ProcessesZeroByte", SluicePolicy("  egress:\n  - processes: {binaries: [\"/a\\0b\"]}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/a\\x00b\" is not a pattern")},
    {"ProcessesDoubleSlash", SluicePolicy("  egress:\n  - processes: {binaries: ['/usr//bin']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/usr//bin\" matches no program: a path has "
                                  "no component that is empty, \".\" or \"..\"")},
    {"ProcessesDot", SluicePolicy("  egress:\n  - processes: {binaries: ['/usr/./bin']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/usr/./bin\" matches no program: a path has "
                                  "no component that is empty, \".\" or \"..\"")},
    {"ProcessesDotDot", SluicePolicy("  egress:\n  - processes: {binaries: ['/usr/../bin']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/usr/../bin\" matches no program: a path "
                                  "has no component that is empty, \".\" or \"..\"")},
    {"ProcessesLastDot", SluicePolicy("  egress:\n  - processes: {binaries: ['/usr/.']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/usr/.\" matches no program: a path has no "
                                  "component that is empty, \".\" or \"..\"")},
    {"ProcessesLastDotDot", SluicePolicy("  egress:\n  - processes: {binaries: ['/usr/..']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/usr/..\" matches no program: a path has no "
                                  "component that is empty, \".\" or \"..\"")},
    {"ProcessesLastSlash", SluicePolicy("  egress:\n  - processes: {binaries: ['/usr/bin/']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/usr/bin/\" matches no program: a path has "
                                  "no component that is empty, \".\" or \"..\"")},
    {"ProcessesRoot", SluicePolicy("  egress:\n  - processes: {binaries: ['/']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/\" matches no program: a path has no "
                                  "component that is empty, \".\" or \"..\"")},
    {"ProcessesStarsDotDot", SluicePolicy("  egress:\n  - processes: {binaries: ['**/../x']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"**/../x\" matches no program: a path has no "
                                  "component that is empty, \".\" or \"..\"")},
    {"ProcessesLong", SluicePolicy("  egress:\n  - processes: {binaries: [/" + std::string(511, 'x') + "]}\n"),
     At(6, std::string(kPolicy) +
               "spec.egress[0].processes.binaries[0]: a pattern of 512 bytes: at most 511 are matched")},
    {"Action", SluicePolicy("  ingress: [{action: Drop}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].action: must be Allow, Deny or Audit, got \"Drop\"")},
    {"Mode", SluicePolicy("  mode: Off\n"),
     At(5, std::string(kPolicy) + "spec.mode: must be a string: quote it (\"Off\")")},
    {"ModeUnknown", SluicePolicy("  mode: Dry\n"),
     At(5, std::string(kPolicy) + "spec.mode: must be Enforce or Audit, got \"Dry\"")},
    {"SluiceUnknown", SluicePolicy("  modes: Audit\n"), At(5, std::string(kPolicy) + "spec.modes: unknown field")},
    {"Twice", Policy("  {}\n") + "---\n" + Policy("  {}\n"),
     At(7, std::string(kPolicy) + "defined twice: the first definition is on line 1")},
    {"TwiceByDefaultNamespace", Policy("  {}\n", "name: a") + "---\n" + Policy("  {}\n", "name: a, namespace: default"),
     At(7, "NetworkPolicy default/a: defined twice")},
};

const ErrorCase kWorkloadCases[] = {
    {"NoSpec", "apiVersion: sluice.dev/v1alpha1\nkind: Workload\nmetadata: {name: w}\n",
     At(1, "Workload default/w: spec: missing")},
    {"UnknownField", Workload("  netns: /n\n  ip: [10.0.0.1]\n"), At(6, "Workload default/w: spec.ip: unknown field")},
    {"UnknownTop", Workload("  netns: /n\nstatus: {}\n"), At(6, "Workload default/w: status: unknown field")},
    {"Neither", Workload("  interface: eth0\n"), At(4, "Workload default/w: spec: needs netns or hostInterface")},
    {"Both", Workload("  netns: /n\n  hostInterface: v\n"),
     At(6, "Workload default/w: spec.hostInterface: cannot be combined with netns")},
    {"RelativeNetns", Workload("  netns: web-0\n"),
     At(5, "Workload default/w: spec.netns: \"web-0\" is not an absolute path")},
    {"InterfaceName", Workload("  hostInterface: a/b\n"),
     At(5, "Workload default/w: spec.hostInterface: \"a/b\" is not the name of a network interface")},
    {"InterfaceLong", Workload("  hostInterface: a234567890123456\n"),
     At(5, "Workload default/w: spec.hostInterface: ")},
    {"BadIp", Workload("  netns: /n\n  ips: [10.1.0.2, 10.1.0]\n"),
     At(6, "Workload default/w: spec.ips[1]: \"10.1.0\" is not an IPv4 or IPv6 address")},
    {"MulticastIp", Workload("  netns: /n\n  ips: [224.0.0.1]\n"),
     At(6, "Workload default/w: spec.ips[0]: \"224.0.0.1\" is not a host address")},
    {"LoopbackIp", Workload("  netns: /n\n  ips: ['::1']\n"),
     At(6, "Workload default/w: spec.ips[0]: \"::1\" is not a host address")},
    {"WildcardIp", Workload("  netns: /n\n  ips: [0.0.0.0]\n"),
     At(6, "Workload default/w: spec.ips[0]: \"0.0.0.0\" is not a host address")},
    {"DuplicateIp", Workload("  netns: /n\n  ips: ['fd00::2', 'fd00:0::2']\n"),
     At(6, "Workload default/w: spec.ips[1]: fd00::2 is listed twice")},
    {"PortName", Workload("  netns: /n\n  ports: [{name: Http, port: 80}]\n"),
     At(6, "Workload default/w: spec.ports[0].name: \"Http\" is not a port name")},
    {"PortMissing", Workload("  netns: /n\n  ports: [{name: http}]\n"),
     At(6, "Workload default/w: spec.ports[0].port: missing")},
    {"PortTwice", Workload("  netns: /n\n  ports: [{name: a, port: 80}, {name: a, port: 81}]\n"),
     At(6, "Workload default/w: spec.ports[1]: the name \"a\" is used twice")},
    {"PortUnknown", Workload("  netns: /n\n  ports: [{name: a, containerPort: 80}]\n"),
     At(6, "Workload default/w: spec.ports[0].containerPort: unknown field")},
    {"Cgroup", Workload("  netns: /n\n  cgroup: kubepods\n"),
     At(6, "Workload default/w: spec.cgroup: \"kubepods\" is not an absolute path")},
    {"PodTop", Pod("data: {}\n"), At(4, "Pod default/p: data: unknown field")},
    {"PodIp", Pod("status: {podIPs: [{ip: x}]}\n"),
     At(4, "Pod default/p: status.podIPs[0].ip: \"x\" is not an IPv4 or IPv6 address")},
    {"PodIpMissing", Pod("status: {podIPs: [{}]}\n"), At(4, "Pod default/p: status.podIPs[0].ip: missing")},
    {"PodPhase", Pod("status: {phase: running}\n"), At(4, "Pod default/p: status.phase: must be Pending, Running")},
    {"PodHostNetwork", Pod("spec: {hostNetwork: 'true'}\n"),
     At(4, "Pod default/p: spec.hostNetwork: must be true or false, got \"true\"")},
    {"PodContainerPort", Pod("spec: {containers: [{ports: [{containerPort: 0}]}]}\n"),
     At(4, "Pod default/p: spec.containers[0].ports[0].containerPort: must be a decimal number")},
};

std::string CaseName(const testing::TestParamInfo<ErrorCase>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Type, ResourceErrorTest, testing::ValuesIn(kTypeCases), CaseName);
INSTANTIATE_TEST_SUITE_P(Metadata, ResourceErrorTest, testing::ValuesIn(kMetadataCases), CaseName);
INSTANTIATE_TEST_SUITE_P(Policy, ResourceErrorTest, testing::ValuesIn(kPolicyCases), CaseName);
INSTANTIATE_TEST_SUITE_P(Workload, ResourceErrorTest, testing::ValuesIn(kWorkloadCases), CaseName);

}  // namespace
}  // namespace sluice::policy
