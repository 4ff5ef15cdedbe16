// `explain --exec` and `--open`: what the reference evaluators of both kinds of policies say, put together.
#include "ctrl/explain/operation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/kinds/kinds.h"

namespace sluice::explain {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kPods[] = R"(
{apiVersion: v1, kind: Namespace, metadata: {name: shop, annotations: {kubearmor-file-posture: block}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop, labels: {app: db}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: job, namespace: ops, labels: {app: web}}}
---
)";

policy::ResourceMap Resources(const std::string& policies) {
  const auto parsed = policy::ParseResources("f.yaml", kPods + policies,
                                             {.more_kinds = policy::MoreKinds(policy::tracing::Reading::kParsed)});
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  policy::ResourceMap resources;
  if (!parsed.ok()) return resources;
  for (const policy::Resource& resource : *parsed) resources[resource.id] = resource;
  return resources;
}

std::string KubeArmor(const std::string& name, const std::string& spec, const std::string& kind = "KubeArmorPolicy") {
  const char* const ns = kind == "KubeArmorPolicy" ? ", namespace: shop" : "";
  return fmt::format("{{apiVersion: security.kubearmor.com/v1, kind: {}, metadata: {{name: {}{}}}, spec: {}}}\n---\n",
                     kind, name, ns, spec);
}

std::string Tracing(const std::string& spec) {
  return "{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {name: t}, spec: " + spec + "}\n---\n";
}

v1::ExplainOperationRequest Exec(const std::string& path, const std::string& program = "",
                                 const std::string& from = "shop/web") {
  v1::ExplainOperationRequest request;
  request.set_from(from);
  request.set_program(program);
  request.mutable_execute()->set_path(path);
  return request;
}

v1::ExplainOperationRequest Open(const std::string& path, bool writes = false, const std::string& from = "shop/web") {
  v1::ExplainOperationRequest request;
  request.set_from(from);
  request.mutable_open()->set_path(path);
  request.mutable_open()->set_writes(writes);
  return request;
}

// "denied: block spec.process.matchPaths[0] DENY Block; allowed: ..." of all findings.
std::string Answer(const policy::ResourceMap& resources, const v1::ExplainOperationRequest& request,
                   const AskedNode& node = {}) {
  const auto answer = ExplainOperation(resources, node, request);
  if (!answer.ok()) return Message(answer.status());
  std::string text = answer->allowed() ? "allowed" : "denied";
  for (const auto& one : answer->findings()) {
    text += fmt::format("; {} {} {} {}", one.policy().name(), one.policy().rule(),
                        v1::PolicyRef::Effect_Name(one.policy().effect()), fmt::join(one.actions(), " "));
    if (one.unknown_size() != 0) text += fmt::format(" if {}", fmt::join(one.unknown(), " "));
  }
  return text;
}

TEST(ExplainOperation, NamesTheRuleThatStopsAProgram) {
  const auto resources = Resources(
      KubeArmor("block",
                "{selector: {matchLabels: {app: web}}, process: {matchPaths: [{path: /bin/cat, fromSource: [{path: "
                "/bin/bash}]}]}}"));
  EXPECT_EQ(Answer(resources, Exec("/bin/cat", "/bin/bash")), "denied; block spec.process.matchPaths[0] DENY Block");
  EXPECT_EQ(Answer(resources, Exec("/bin/cat", "/bin/sh")), "allowed");
  EXPECT_EQ(Answer(resources, Exec("/bin/cat")), "allowed") << "the program is not known";
  EXPECT_EQ(Answer(resources, Exec("/bin/ls", "/bin/bash")), "allowed");
  EXPECT_EQ(Answer(resources, Exec("/bin/cat", "/bin/bash", "shop/db")), "allowed") << "another pod";
  EXPECT_EQ(Answer(resources, Exec("/bin/cat", "/bin/bash", "ops/job")), "allowed") << "another namespace";
}

TEST(ExplainOperation, ArgumentsAndOwnersCount) {
  const auto resources = Resources(KubeArmor(
      "a",
      "{process: {matchPaths: [{path: /bin/x, allowedArgs: [-v]}]}, file: {matchPaths: [{path: /f, ownerOnly: "
      "true, readOnly: true}]}}"));
  auto exec = Exec("/bin/x");
  EXPECT_EQ(Answer(resources, exec), "denied; a spec.process.matchPaths[0] DENY Block");
  exec.mutable_execute()->add_arguments("-v");
  EXPECT_EQ(Answer(resources, exec), "allowed");
  EXPECT_EQ(Answer(resources, Open("/f")), "allowed");
  EXPECT_EQ(Answer(resources, Open("/f", true)), "denied; a spec.file.matchPaths[0] DENY Block");
  auto open = Open("/f");
  open.set_uid(1000);
  EXPECT_EQ(Answer(resources, open), "denied; a spec.file.matchPaths[0] DENY Block");
  open.set_owner(1000);
  EXPECT_EQ(Answer(resources, open), "allowed");
}

TEST(ExplainOperation, AnAllowListStopsByTheNamespacesPosture) {
  const std::string allow = KubeArmor("list", "{action: Allow, file: {matchDirectories: [{dir: /etc/}]}}");
  const auto answer = ExplainOperation(Resources(allow), {}, Open("/var/x"));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_FALSE(answer->allowed());
  EXPECT_EQ(answer->reason(),
            "shop/list spec.file.matchDirectories[0] makes an allow list, which does not have it; the namespace's "
            "posture is block.");
  EXPECT_EQ(Answer(Resources(allow), Open("/etc/x")), "allowed; list spec.file.matchDirectories[0] ALLOW Allow");
  // ops has no annotation: it audits.
  const auto cluster = Resources(
      KubeArmor("list", "{action: Allow, file: {matchDirectories: [{dir: /etc/}]}}", "KubeArmorClusterPolicy"));
  EXPECT_EQ(Answer(cluster, Open("/var/x", false, "ops/job")),
            "allowed; list spec.file.matchDirectories[0] AUDIT Audit");
}

TEST(ExplainOperation, ContainersAndNodesAreNamed) {
  const auto resources = Resources(
      KubeArmor("c",
                "{selector: {matchLabels: {kubearmor.io/container.name: side}}, process: {matchPaths: [{path: "
                "/bin/cat}]}}") +
      KubeArmor("h",
                "{nodeSelector: {matchLabels: {kubernetes.io/hostname: n1}}, process: {matchPaths: [{path: "
                "/bin/cat}]}}",
                "KubeArmorHostPolicy"));
  const auto unnamed = ExplainOperation(resources, {}, Exec("/bin/cat"));
  ASSERT_TRUE(unnamed.ok());
  EXPECT_TRUE(unnamed->allowed());
  EXPECT_THAT(unnamed->notes(), ElementsAre("KubeArmorPolicy shop/c is for containers by name (side): it is not "
                                            "evaluated without --container"));
  auto named = Exec("/bin/cat");
  named.set_container("side");
  EXPECT_EQ(Answer(resources, named), "denied; c spec.process.matchPaths[0] DENY Block");
  EXPECT_EQ(Answer(resources, Exec("/bin/cat", "", "node"), {.name = "n1"}),
            "denied; h spec.process.matchPaths[0] DENY Block");
  EXPECT_EQ(Answer(resources, Exec("/bin/cat", "", "node"), {.name = "n2"}), "allowed");
  const auto nowhere = ExplainOperation(resources, {}, Exec("/bin/cat", {}, "node"));
  ASSERT_TRUE(nowhere.ok());
  EXPECT_THAT(nowhere->notes(), ElementsAre(HasSubstr("this node's name is not known")));
}

TEST(ExplainOperation, NodesAreSelectedByTheirLabels) {
  const auto resources =
      Resources(KubeArmor("h", "{nodeSelector: {matchLabels: {zone: a}}, process: {matchPaths: [{path: /bin/cat}]}}",
                          "KubeArmorHostPolicy"));
  const auto cat = Exec("/bin/cat", "", "node");
  EXPECT_EQ(Answer(resources, cat, {.name = "n1", .labels = policy::Labels{{"zone", "a"}}}),
            "denied; h spec.process.matchPaths[0] DENY Block");
  EXPECT_EQ(Answer(resources, cat, {.name = "n1", .labels = policy::Labels{{"zone", "b"}}}), "allowed");
  const auto unknown = ExplainOperation(resources, {.name = "n1", .labels = {}}, cat);
  ASSERT_TRUE(unknown.ok());
  EXPECT_TRUE(unknown->allowed());
  EXPECT_THAT(unknown->notes(), ElementsAre(HasSubstr("labels, and those of this node are not known")));
}

TEST(ExplainOperation, TracingPoliciesStopByFunctionsThatTheOperationReaches) {
  const auto resources = Resources(Tracing(R"({kprobes: [
    {call: security_file_permission, syscall: false, args: [{index: 0, type: file}, {index: 1, type: int}], selectors: [
      {matchArgs: [{index: 0, operator: Equal, values: [/default.json]}, {index: 1, operator: Equal, values: ["4"]}],
       matchActions: [{action: Sigkill}]}]},
    {call: sys_execve, syscall: true, args: [{index: 0, type: string}], selectors: [
      {matchArgs: [{index: 0, operator: Postfix, values: [/nc]}], matchBinaries: [{operator: In, values: [/bin/sh]}],
       matchActions: [{action: Override, argError: -1}]}]}]})"));
  EXPECT_EQ(Answer(resources, Open("/default.json")), "denied; t spec.kprobes[0].selectors[0] DENY Sigkill");
  EXPECT_EQ(Answer(resources, Open("/default.json", true)), "allowed") << "the mask is that of a read";
  EXPECT_EQ(Answer(resources, Open("/other.json")), "allowed");
  EXPECT_EQ(Answer(resources, Exec("/default.json")), "allowed") << "it is not opened in this sense";
  EXPECT_EQ(Answer(resources, Exec("/bin/nc", "/bin/sh")), "denied; t spec.kprobes[1].selectors[0] DENY Override -1");
  EXPECT_EQ(Answer(resources, Exec("/bin/nc", "/bin/bash")), "allowed");
  EXPECT_EQ(Answer(resources, Exec("/bin/nc")),
            "allowed; t spec.kprobes[1].selectors[0] DENY Override -1 if matchBinaries");
  const auto may = ExplainOperation(resources, {}, Exec("/bin/nc"));
  EXPECT_EQ(may->reason(), "It passes, unless filters that are not known here hold: t spec.kprobes[1].selectors[0].");
}

TEST(ExplainOperation, TheFirstSelectorThatHoldsIsTheOnlyOne) {
  const auto resources = Resources(Tracing(R"({lsmhooks: [{hook: file_open, args: [{index: 0, type: file}], selectors: [
      {matchPIDs: [{operator: In, values: [1]}], matchActions: [{action: NoPost}]},
      {matchArgs: [{index: 0, operator: Prefix, values: [/etc/]}], matchActions: [{action: Post}]},
      {matchActions: [{action: Sigkill}]}]}]})"));
  EXPECT_EQ(Answer(resources, Open("/etc/passwd")),
            "allowed; t spec.lsmhooks[0].selectors[0] AUDIT NoPost if matchPIDs; t spec.lsmhooks[0].selectors[1] AUDIT "
            "Post");
  EXPECT_EQ(Answer(resources, Open("/var/x")),
            "denied; t spec.lsmhooks[0].selectors[2] DENY Sigkill; t spec.lsmhooks[0].selectors[0] AUDIT NoPost if "
            "matchPIDs");
}

TEST(ExplainOperation, MonitorStopsNothingAndOtherHooksAreNoted) {
  const std::string hooks =
      "kprobes: [{call: security_file_open, syscall: false, args: [{index: 0, type: file}], selectors: [{matchActions: "
      "[{action: Sigkill}]}]}, {call: tcp_connect, syscall: false, args: [{index: 0, type: sock}], selectors: "
      "[{matchActions: [{action: "
      "Sigkill}]}]}]";
  EXPECT_EQ(Answer(Resources(Tracing("{options: [{name: policy-mode, value: monitor}], " + hooks + "}")), Open("/x")),
            "allowed; t spec.kprobes[0].selectors[0] AUDIT Sigkill");
  const auto answer = ExplainOperation(Resources(Tracing("{" + hooks + "}")), {}, Open("/x"));
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(answer->allowed());
  EXPECT_THAT(answer->notes(),
              ElementsAre("TracingPolicy t stops processes at tcp_connect: whether this operation gets "
                          "there is not evaluated"));
  EXPECT_THAT(
      ExplainOperation(Resources(Tracing("{podSelector: {matchLabels: {app: db}}, " + hooks + "}")), {}, Open("/x"))
          ->notes(),
      IsEmpty());
}

TEST(ExplainOperation, PathsThatAreLinksAreFollowed) {
  const auto resources = Resources(KubeArmor("b", "{process: {matchPaths: [{path: /usr/bin/busybox}]}}"));
  const FindProgram find = [](const policy::ObjectName& workload, const std::string& path) {
    EXPECT_EQ(workload.ToString(), "shop/web");
    return path == "/bin/ls" ? std::vector<ProgramFile>{{"/usr/bin/busybox"}} : std::vector<ProgramFile>();
  };
  const auto answer = ExplainOperation(resources, {}, Exec("/bin/ls"), find);
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(answer->allowed());
  EXPECT_EQ(answer->path(), "/usr/bin/busybox");
  ASSERT_EQ(answer->links_size(), 1);
  EXPECT_EQ(answer->links(0).path(), "/bin/ls");
}

TEST(ExplainOperation, WrongQuestionsSayWhatIsWrong) {
  const auto resources = Resources("");
  EXPECT_EQ(Answer(resources, Exec("ls")), "program ls: expected an absolute path of at most 4095 bytes");
  EXPECT_EQ(Answer(resources, Exec("/bin/ls", "sh")), "program sh: expected an absolute path of at most 4095 bytes");
  EXPECT_EQ(Answer(resources, Exec("/bin/ls", "", "web")),
            "web: expected namespace/name of a workload or pod, or node");
  EXPECT_EQ(Answer(resources, Exec("/bin/ls", "", "shop/x")),
            "shop/x: no such workload or pod; `sluice get workloads` lists them");
  v1::ExplainOperationRequest nothing;
  nothing.set_from("shop/web");
  EXPECT_EQ(Answer(resources, nothing), "explain: name a program to execute or a file to open");
}

}  // namespace
}  // namespace sluice::explain
