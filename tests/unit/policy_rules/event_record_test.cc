// Events as records, and back.
#include "policy/rules/event_record.h"

#include <gmock/gmock.h>

#include "policy/rules/alert.h"
#include "tests/unit/policy_rules/scene.h"

namespace sluice::policy::rules {
namespace {

// What rules can ask of the event, as far as a few of all kinds of fields go.
std::string Seen(const Event& event) {
  Rule rule;
  rule.output = std::get<OutputFormat>(OutputFormat::Parse(
      "%evt.type %evt.num %evt.rawres %evt.args %evt.buflen %evt.is_open_read %evt.hostname %proc.cmdline "
      "%proc.exepath "
      "%proc.aname %proc.cwd %proc.tty %proc.env %proc.pid.ts %proc.vpid %thread.cap_effective %thread.tid %user.name "
      "%user.loginuid %proc.is_exe_upper_layer %proc.is_exe_from_memfd %proc.exe_ino.ctime %proc.sname %container.id "
      "%container.image.repository %container.mounts %container.privileged %k8s.pod.name %fd.name %fd.nameraw %fd.num "
      "%fd.type %fd.sip %fd.cip %fd.sport %fd.connected %fd.is_server %fd.sip.name %fd.l4proto"));
  return AlertJson(MakeAlert(rule, event));
}

void ExpectSame(const Event& event) {
  const std::string record = EventRecord(event);
  EXPECT_EQ(record.find('\n'), std::string::npos);
  const auto read = ParseEventRecord(record);
  ASSERT_TRUE(read.ok()) << read.status() << "\n" << record;
  EXPECT_EQ(Seen((*read)->event), Seen(event));
  EXPECT_EQ((*read)->event.buffer, event.buffer);
  EXPECT_EQ(EventRecord((*read)->event), record);
}

TEST(EventRecords, AreReadAsTheyWereWritten) {
  Scene scene;
  scene.event.thread = 201;
  scene.event.cpu = 3;
  scene.shell.credentials.login_uid = 1000;
  scene.shell.executable.upper_layer = true;
  scene.shell.executable.changed_ns = 12345;
  scene.shell.session_leader = SessionLeader{.name = "bash", .exe = "-bash", .exe_path = "/usr/bin/bash"};
  scene.container.pod_name = "web-0";
  ExpectSame(scene.event);
  scene.event.container = &HostContainer();
  ExpectSame(scene.event);
  scene.event.container = nullptr;
  ExpectSame(scene.event);
  scene.Connect("10.0.0.1", "fd00::2", 443);
  scene.descriptor.connected = true;
  scene.descriptor.ends->server_names = {"example.org"};
  scene.event.open.reset();
  ExpectSame(scene.event);
  ExpectSame(Event{.type = scene.event.type, .number = 1});
}

TEST(EventRecords, DataKeepsAllItsBytes) {
  Scene scene;
  scene.event.buffer = "GET / HTTP/1.1\r\n";
  ExpectSame(scene.event);
  EXPECT_NE(EventRecord(scene.event).find("\"buffer\":\"GET"), std::string::npos);
  constexpr char kBytes[] = "\x00\xff\xca\xfe\x80";
  scene.event.buffer = std::string_view(kBytes, sizeof(kBytes) - 1);
  ExpectSame(scene.event);
  EXPECT_NE(EventRecord(scene.event).find("\"bufferHex\":\"00ffcafe80\""), std::string::npos);
}

TEST(EventRecords, TextsThatAreNoUtf8DoNotBreakTheRecord) {
  Scene scene;
  scene.descriptor.name = "/tmp/\xff";
  const auto read = ParseEventRecord(EventRecord(scene.event));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->event.descriptor->name, "/tmp/\xef\xbf\xbd");
}

TEST(EventRecords, ManyAncestorsAreCut) {
  Scene scene;
  std::deque<Process> line(200);
  for (std::size_t i = 0; i + 1 < line.size(); ++i) line[i].parent = &line[i + 1];
  scene.event.process = &line[0];
  ExpectSame(scene.event);
}

TEST(EventRecords, WrongHexIsRefused) {
  for (const char* record : {R"({"type":"read","bufferHex":"0"})", R"({"type":"read","bufferHex":"0G"})",
                             R"({"type":"read","buffer":"a","bufferHex":"00"})"}) {
    EXPECT_THAT(Message(ParseEventRecord(record).status()), testing::StartsWith("bufferHex: ")) << record;
  }
}

}  // namespace
}  // namespace sluice::policy::rules
