// The output formats of `observe`.
#include "ctrl/sluice/event_writer.h"

#include <gmock/gmock.h>

#include "tests/unit/client/messages.h"

namespace sluice::client {
namespace {

using test::FromJson;
using testing::HasSubstr;

constexpr const char* kFlow = R"({"flow": {
  "time": "2026-03-04T05:06:07Z", "type": "flow", "event": "END", "verdict": "DROPPED", "dropReason": "POLICY_DENIED",
  "l4": {"protocol": "TCP", "sourcePort": 40112, "destinationPort": 9000, "tcpFlags": ["SYN", "ECE"]},
  "source": {"namespace": "shop", "workload": "web-0", "labels": {"app": "web"}},
  "policies": [{"namespace": "shop", "name": "closed", "effect": "DEFAULT_DENY"}],
  "forward": {"packets": "3", "bytes": "180"}}})";

std::string Text(const std::string& output, const std::string& fields, const std::string& event = kFlow) {
  auto writer = EventWriter::Make(output, fields);
  EXPECT_TRUE(writer.ok()) << writer.status();
  return writer->ToText(FromJson<v1::Event>(event)).value();
}

TEST(EventWriter, FieldsOfJson) {
  EXPECT_EQ(Text("json", "time,source.workload,l4.destinationPort"),
            R"({"time":"2026-03-04T05:06:07Z","l4":{"destinationPort":9000},"source":{"workload":"web-0"}})"
            "\n");
  EXPECT_EQ(Text("json", "forward"), "{\"forward\":{\"packets\":3,\"bytes\":180}}\n") << "numbers, also as the first";
  EXPECT_EQ(Text("json", "source.labels,policies"),
            R"({"source":{"labels":{"app":"web"}},"policies":[{"namespace":"shop","name":"closed",)"
            R"("effect":"DEFAULT_DENY"}]})"
            "\n");
}

TEST(EventWriter, EventsWithoutTheFieldsAreLeftOutButLossesAreWhole) {
  EXPECT_EQ(Text("json", "l4", R"({"exec": {"type": "exec", "workload": "web-0"}})"), "");
  EXPECT_EQ(Text("json", "workload", R"({"exec": {"type": "exec", "workload": "web-0"}})"),
            "{\"workload\":\"web-0\"}\n");
  EXPECT_EQ(Text("json", "l4", R"({"lost": {"type": "lost", "count": "3"}})"), "{\"type\":\"lost\",\"count\":3}\n");
}

TEST(EventWriter, TetragonsFormHasProcessesAndHooks) {
  EXPECT_EQ(Text("tetragon-json", "", R"({"exec": {"node": "n", "process": {"pid": 7, "binary": "/bin/sh",
              "workingDirectory": "/srv"}}})"),
            R"({"process_exec":{"process":{"pid":7,"cwd":"/srv","binary":"/bin/sh","flags":"execve"}},"node_name":"n"})"
            "\n");
  EXPECT_EQ(Text("tetragon-json", ""), "") << "a flow";
  EXPECT_FALSE(EventWriter::Make("tetragon-json", "time").ok());
}

TEST(EventWriter, HooksAreEventsLikeOthers) {
  const char* hook = R"({"hook": {"time": "2026-03-04T05:06:07Z", "type": "hook", "namespace": "shop",
    "workload": "web-0", "process": {"pid": 42, "binary": "/bin/cat", "arguments": ["/etc/shadow"],
    "containerName": "server"}, "kind": "SYSCALL", "function": "openat",
    "arguments": [{"type": "int", "int32Value": -100, "label": "directory"}, {"type": "string", "text": "/etc/shadow"}],
    "returnValue": {"type": "int", "int32Value": -1}, "actions": ["POST", "OVERRIDE"], "error": "EPERM",
    "policy": {"kind": "TracingPolicyNamespaced", "namespace": "shop", "name": "guard"}}})";
  EXPECT_EQ(Text("compact", "", hook),
            "2026-03-04T05:06:07.000Z HOOK   shop/web-0 42 /bin/cat /etc/shadow: openat(directory=-100, /etc/shadow) = "
            "-1 -> OVERRIDE EPERM [shop/guard]\n");
  EXPECT_THAT(Text("wide", "", hook), testing::EndsWith("[shop/guard] (container server)\n"));
  EXPECT_EQ(Text("json", "function,actions,policy.name", hook),
            R"({"function":"openat","actions":["POST","OVERRIDE"],"policy":{"name":"guard"}})"
            "\n");
  EXPECT_THAT(Text("dict", "", hook), HasSubstr("arguments[0].int32Value: -100\n"));
}

TEST(EventWriter, DetectionsAlsoInFalcosForm) {
  const char* detection = R"({"detection": {"time": "2026-03-04T05:06:07Z", "node": "n", "type": "detection",
    "namespace": "shop", "workload": "web-0", "process": {"pid": 42, "binary": "/bin/cat", "arguments": ["/k"]},
    "rule": "Key read", "priority": "WARNING", "source": "syscall", "tags": ["host"], "output": "Key read | file=/k",
    "fields": [{"name": "fd.name", "text": "/k"}, {"name": "fd.num", "int64Value": "3"}, {"name": "user.name"}]}})";
  EXPECT_EQ(Text("compact", "", detection),
            "2026-03-04T05:06:07.000Z DETECTION shop/web-0 42 /bin/cat /k: WARNING Key read: Key read | file=/k\n");
  EXPECT_EQ(Text("falco-json", "", detection),
            R"({"hostname":"n","output":"05:06:07.000000000: Warning Key read | file=/k","output_fields":)"
            R"({"evt.time":1772600767000000000,"fd.name":"/k","fd.num":3,"user.name":null},"priority":"Warning",)"
            R"("rule":"Key read","source":"syscall","tags":["host"],"time":"2026-03-04T05:06:07.000000000Z"})"
            "\n");
  EXPECT_EQ(Text("json", "rule,fields", detection),
            R"({"rule":"Key read","fields":[{"name":"fd.name","text":"/k"},{"name":"fd.num","int64Value":"3"},)"
            R"({"name":"user.name"}]})"
            "\n");
  EXPECT_EQ(Text("falco-json", ""), "") << "a flow";
}

TEST(EventWriter, DictHasALineForEachField) {
  const std::string text = Text("dict", "");
  EXPECT_THAT(text, HasSubstr("time: 2026-03-04T05:06:07Z\ntype: flow\nevent: END\nverdict: DROPPED\n"));
  EXPECT_THAT(text, HasSubstr("\ndropReason: POLICY_DENIED: "));
  EXPECT_THAT(text, HasSubstr("\nl4.tcpFlags: SYN, ECE\n"));
  EXPECT_THAT(text, HasSubstr("\nsource.labels.app: web\n"));
  EXPECT_THAT(text, HasSubstr("\npolicies[0].name: closed\n"));
  EXPECT_THAT(text, HasSubstr("\nforward.packets: 3\n"));
  EXPECT_EQ(Text("dict", "source.workload"), "source.workload: web-0\n");
  auto writer = EventWriter::Make("dict", "verdict").value();
  EXPECT_EQ(writer.ToText(FromJson<v1::Event>(kFlow)).value(), "verdict: DROPPED\n");
  EXPECT_EQ(writer.ToText(FromJson<v1::Event>(kFlow)).value(), "---\nverdict: DROPPED\n");
}

TEST(EventWriter, TimesOfLinesNeverGoBack) {
  auto writer = EventWriter::Make("compact", "").value();
  const auto line = [&](const std::string& time) {
    return writer.ToText(FromJson<v1::Event>(R"({"exec": {"time": ")" + time + R"("}})")).value();
  };
  EXPECT_EQ(line("2026-03-04T05:06:07Z"), "2026-03-04T05:06:07.000Z EXEC   - 0 []\n");
  EXPECT_EQ(line("2026-03-04T05:06:37Z"), "2026-03-04T05:06:37.000Z EXEC   - 0 []\n");
  EXPECT_EQ(line("2026-03-04T05:06:08Z"), "2026-03-04T05:06:37.000Z EXEC   - 0 [] (of 2026-03-04T05:06:08.000Z)\n");
  EXPECT_EQ(line("2026-03-04T05:06:38Z"), "2026-03-04T05:06:38.000Z EXEC   - 0 []\n");
}

TEST(EventWriter, RefusesFieldsThatNoEventHas) {
  for (const char* fields : {"sorce", "source.frob", "policies.name", "source.labels.app", "", "time,,type"}) {
    const auto writer = EventWriter::Make("json", fields);
    EXPECT_EQ(writer.ok(), std::string(fields).empty()) << fields;
  }
  EXPECT_THAT(Message(EventWriter::Make("json", "sorce").status()), HasSubstr("--fields: sorce: no event has"));
  EXPECT_FALSE(EventWriter::Make("compact", "time").ok());
  EXPECT_THAT(Message(EventWriter::Make("xml", "").status()),
              HasSubstr("compact, wide, dict, json, tetragon-json, kubearmor-json and falco-json"));
}

}  // namespace
}  // namespace sluice::client
