// The report of `sluice rules check`, and recorded events.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "policy/rules/check_report.h"
#include "policy/rules/event_record.h"
#include "policy/rules/loader.h"
#include "tests/unit/policy_rules/scene.h"

namespace sluice::policy::rules {
namespace {

using ::testing::HasSubstr;

CheckedFile Checked(const std::string& text) {
  Loader loader;
  return {.result = loader.Load("f.yaml", text), .text = text};
}

TEST(Report, SaysOkOrWhatIsWrong) {
  EXPECT_EQ(ReportText(Checked("[]")), "f.yaml: Ok\n");
  const CheckedFile warned = Checked("- {list: l, items: []}\n");
  EXPECT_EQ(ReportText(warned), "f.yaml: Ok, with warnings\n");
  EXPECT_EQ(WarningsText(warned),
            "f.yaml: 1 Warnings:\n"
            "In rules content: (f.yaml:0:0)\n"
            "    list 'l': (f.yaml:1:3)\n"
            "------\n"
            "- {list: l, items: []}\n"
            "  ^\n"
            "------\n"
            "LOAD_UNUSED_LIST (nothing uses the list): no rule, macro or list uses it\n");
  EXPECT_EQ(ReportText(Checked("- rule: r\n  desc: d\n  condition: x.y\n  output: o\n  priority: INFO\n")),
            "f.yaml: Invalid\n"
            "1 Errors:\n"
            "In rules content: (f.yaml:0:0)\n"
            "    rule 'r': (f.yaml:1:3)\n"
            "    rule condition: (f.yaml:3:14)\n"
            "    condition expression: (f.yaml:3:14)\n"
            "------\n"
            "x.y\n"
            "  ^\n"
            "------\n"
            "LOAD_ERR_COMPILE_CONDITION (the condition is wrong): at 1:4 of the condition: an operator should be here, "
            "and not the end\n");
}

TEST(Report, JsonHasFalcosShape) {
  const auto json = nlohmann::json::parse(ReportJson({Checked("[]"), Checked("- {list: l, items: []}\n- x\n")}));
  const auto& results = json.at("falco_load_results");
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0],
            nlohmann::json::parse(R"({"name": "f.yaml", "successful": true, "errors": [], "warnings": []})"));
  EXPECT_FALSE(results[1].at("successful"));
  EXPECT_EQ(results[1].at("errors").at(0), nlohmann::json::parse(R"({
      "code": "LOAD_ERR_YAML_VALIDATE", "codedesc": "the file has not the structure of rules",
      "message": "an item is a map, with the key rule, macro or list",
      "context": {"snippet": "- x\n  ^", "locations": [
        {"item_type": "rules content", "item_name": "",
         "position": {"name": "f.yaml", "line": 0, "column": 0, "offset": 0}},
        {"item_type": "rules content item", "item_name": "",
         "position": {"name": "f.yaml", "line": 2, "column": 3, "offset": 25}}]}})"));
}

TEST(EventRecord, IsReadWhole) {
  const auto record = ParseEventRecord(R"({"type": "connect", "number": 5, "timeNs": 7000, "result": -115, "thread": 9,
      "cpu": 1, "host": "n", "buffer": "b", "descriptorNumber": 4, "descriptorRenamed": true,
      "process": {"pid": 3, "vpid": 2, "sid": 3, "pgid": 3, "vpgid": 2, "name": "nc", "exe": "nc", "cwd": "/",
        "arguments": ["-e", "sh"], "environment": ["A=b"], "tty": 1, "startNs": 1, "pidNamespaceStartNs": 1,
        "capEffective": 1, "capPermitted": 2, "capInheritable": 4,
        "executable": {"path": "/bin/nc", "upperLayer": true, "lowerLayer": false, "writable": true, "inMemory": true,
                       "inode": 1, "changedNs": 2, "modifiedNs": 3},
        "credentials": {"uid": 5, "gid": 6, "loginUid": 7, "userName": "u", "groupName": "g", "loginName": "l",
                        "home": "/h", "shell": "/s"},
        "sessionLeader": {"name": "s", "exe": "s", "exePath": "/s"}, "groupLeader": {"name": "gl"},
        "parent": {"pid": 2, "name": "bash", "parent": {"pid": 1, "name": "init"}}},
      "container": {"id": "c", "fullId": "cc", "name": "n", "type": "t", "image": "i", "imageId": "ii",
        "imageRepository": "r", "imageTag": "tag", "imageDigest": "d", "ip": "1.2.3.4", "privileged": false,
        "startNs": 5, "podName": "p", "podUid": "u", "podNamespace": "ns",
        "mounts": [{"source": "/a", "destination": "/b", "mode": "m", "writable": true, "propagation": "x"}]},
      "descriptor": {"kind": "ipv4", "protocol": "tcp", "connected": true, "ends": {"client": "10.0.0.1",
        "server": "10.0.0.2", "clientPort": 1, "serverPort": 2, "localIsServer": false, "serverNames": ["x"],
        "clientNames": ["y"]}},
      "arguments": [["res", "-115"], ["addr", "10.0.0.2"]], "open": {"read": false, "write": true}})");
  ASSERT_TRUE(record.ok()) << record.status();
  const Event& event = (*record)->event;
  for (const char* text :
       {"evt.type = connect and evt.num = 5 and evt.res = EINPROGRESS and thread.tid = 9 and evt.hostname = n",
        "proc.cmdline = 'nc -e sh' and proc.aname[2] = init and proc.exepath = /bin/nc and proc.env[A] = b",
        "user.name = u and user.loginuid = 7 and group.gid = 6 and proc.sname = s and proc.vpgid.name = gl",
        "container.id = c and container.image.tag = tag and k8s.ns.name = ns and container.privileged = false",
        "fd.name = 10.0.0.1:1->10.0.0.2:2 and fd.sip.name = x and fd.connected = true and fd.num = 4",
        "evt.arg.addr = 10.0.0.2 and evt.is_open_write = true and fd.name_changed = true"}) {
    std::string quoted = text;
    if (const std::size_t at = quoted.find("10.0.0.1:1->10.0.0.2:2"); at != std::string::npos) {
      quoted.insert(at + 22, "\"");
      quoted.insert(at, "\"");
    }
    EXPECT_TRUE(IsTrue(quoted, event)) << text;
  }
  const auto host = ParseEventRecord(R"({"type": "open", "container": "host"})");
  ASSERT_TRUE(host.ok());
  EXPECT_EQ((*host)->event.container, &HostContainer());
  EXPECT_FALSE(IsTrue("proc.name exists or fd.name exists or evt.res exists", (*host)->event));
}

struct BadRecord {
  const char* line;
  const char* what;
};

TEST(EventRecord, WhatIsWrongIsNamed) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += R"({"parent":)";
  deep = R"({"type":"open","process":)" + deep + "{}" + std::string(100, '}') + "}";
  for (const BadRecord& one : std::initializer_list<BadRecord>{
           {"", "the record is no JSON"},
           {"[]", "is no object"},
           {"{}", "type: there is no event type"},
           {R"({"type": "opn"})", "type: there is no event type opn"},
           {R"({"type": "open", "number": 0})", "number: events are counted from 1"},
           {R"({"type": "open", "number": -1})", "number: is no whole number of its range"},
           {R"({"type": "open", "cpu": 4294967296})", "cpu: is no whole number of its range"},
           {R"({"type": "open", "colour": 1})", "colour: unknown key"},
           {R"({"type": "open", "process": {"pid": "x"}})", "process.pid: is no whole number"},
           {R"({"type": "open", "process": {"parent": {"nmae": "x"}}})", "process.parent.nmae: unknown key"},
           {R"({"type": "open", "process": {"arguments": [1]}})", "process.arguments: is no list of texts"},
           {R"({"type": "open", "container": {"mounts": [{"x": 1}]}})", "container.mounts[0].x: unknown key"},
           {R"({"type": "open", "descriptor": {"kind": "door"}})", "descriptor.kind: there is no such kind"},
           {R"({"type": "open", "descriptor": {"ends": {"client": "x"}}})", "descriptor.ends.client: is no address"},
           {R"({"type": "open", "arguments": [["a"]]})", "arguments: is no list of pairs"},
           {deep.c_str(), "too many ancestors"},
       }) {
    const auto record = ParseEventRecord(one.line);
    ASSERT_FALSE(record.ok()) << one.line;
    EXPECT_THAT(Message(record.status()), HasSubstr(one.what)) << one.line;
  }
  EXPECT_FALSE(ParseEventRecord(std::string(kMaxEventRecordBytes + 1, ' ')).ok());
}

TEST(EventRecord, KindsHaveNames) {
  EXPECT_EQ(NameOf(DescriptorKind::kFile), "file");
  EXPECT_EQ(NameOf(DescriptorKind::kUnknown), "unknown");
}

}  // namespace
}  // namespace sluice::policy::rules
