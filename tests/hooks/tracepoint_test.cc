// Hooks on tracepoints, whose arguments are fields of a record.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <cstring>
#include <filesystem>

#include "tests/hooks/hook_test.h"

namespace sluice::test {
namespace {

using testing::HasSubstr;

class HookedTracepoint : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    auto made = HookFixture::Create({});
    ASSERT_TRUE(made.ok()) << made.status();
    hooks_ = *std::move(made);
  }
  // `fields`: of the hook on GROUP/NAME.
  Status Apply(const std::string& group, const std::string& name, const std::string& fields) {
    return hooks_->Apply(PolicyText(
        "tracepoint", fmt::format("{{tracepoints: [{{subsystem: {}, event: {}, {}}}]}}", group, name, fields)));
  }
  // Of a child that ends at once, under another name.
  static int EndAs(const char* name) {
    return Reap(Fork([&] {
      prctl(PR_SET_NAME, name);
      _exit(0);
    }));
  }

  std::unique_ptr<HookFixture> hooks_;
  TempDir directory_;
};

TEST_F(HookedTracepoint, ATextOfItsOwnLengthIsRead) {
  const std::string program = directory_.path() + "/program";
  std::filesystem::copy_file("/bin/true", program);
  const Status applied = Apply("sched", "sched_process_exec",
                               fmt::format("args: [{{index: 4, type: data_loc}}, {{index: 5, type: int}}], selectors: "
                                           "[{{matchArgs: [{{index: 4, operator: Equal, values: [\"{}\"]}}]}}]",
                                           program));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(hooks_->tables().List().at(0).hooks.at(0).attached, "tracepoint sched/sched_process_exec");
  Reap(Fork([] { Exec("/bin/true", {"true"}); }));
  const pid_t child = Fork([&] { Exec(program, {"program"}); });
  Reap(child);
  const auto record = hooks_->WaitFor([](const HookRecord&) { return true; });
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->event.pid, static_cast<__u32>(child));
  EXPECT_EQ(record->Text(0), program);
  EXPECT_EQ(record->event.arguments[1].number, static_cast<__u64>(child));
  EXPECT_EQ(hooks_->Count("tracepoint", SL_HOOK_COUNT_MATCHED), 1U);
}

TEST_F(HookedTracepoint, ATextInTheRecordIsRead) {
  for (const char* type : {"string", "auto"}) {
    const std::string filter =
        std::string(type) == "auto" ? "" : ", selectors: [{matchArgs: [{index: 4, operator: Prefix, values: [sl-]}]}]";
    const Status applied =
        Apply("sched", "sched_process_exit",
              fmt::format("args: [{{index: 4, type: {}}}, {{index: 5, type: auto}}]{}", type, filter));
    ASSERT_TRUE(applied.ok()) << applied;
    hooks_->Take();
    if (!filter.empty()) {
      EXPECT_EQ(EndAs("other"), 0);
    }
    EXPECT_EQ(EndAs("sl-wanted-12345"), 0);  // 15 bytes: all that there are
    const auto record =
        hooks_->WaitFor([&](const HookRecord& one) { return !filter.empty() || one.Text(0).starts_with("sl-"); });
    ASSERT_TRUE(record.ok()) << type << record.status();
    EXPECT_EQ(record->Text(0), "sl-wanted-12345") << type;
    EXPECT_EQ(record->event.arguments[1].number, record->event.pid);
  }
}

TEST_F(HookedTracepoint, APacketThatTheRecordPointsToIsRead) {
  const Fd receiver(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(receiver.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(getsockname(receiver.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const Fd sender(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto send_to = [&](std::uint16_t port) {
    sockaddr_in to = address;
    to.sin_port = htons(port);
    EXPECT_EQ(sendto(sender.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 1);
  };
  const std::uint16_t port = ntohs(address.sin_port);
  const Status applied = Apply(
      "net", "netif_rx",
      fmt::format("args: [{{index: 4, type: skb}}, {{index: 6, type: string}}], selectors: [{{matchArgs: [{{index: "
                  "4, operator: DPort, values: [\"{}\"]}}, {{index: 6, operator: Equal, values: [lo]}}]}}]",
                  port));
  ASSERT_TRUE(applied.ok()) << applied;
  send_to(static_cast<std::uint16_t>(port == 65535 ? 1024 : port + 1));
  send_to(port);
  const auto record = hooks_->WaitFor([](const HookRecord&) { return true; });
  ASSERT_TRUE(record.ok()) << record.status();
  ASSERT_EQ(record->event.arguments[0].length, sizeof(sl_hook_socket));
  sl_hook_socket packet{};
  std::memcpy(&packet, record->data.data() + record->event.arguments[0].offset, sizeof(packet));
  EXPECT_EQ(packet.destination_port, port);
  EXPECT_EQ(record->Text(1), "lo");
  EXPECT_EQ(hooks_->Count("tracepoint", SL_HOOK_COUNT_MATCHED), 1U) << "the other packet";
}

TEST_F(HookedTracepoint, Sigkill) {
  const std::string fields =
      "args: [{index: 6, type: string}], selectors: [{matchArgs: [{index: 6, operator: Equal, "
      "values: [sl-forbidden]}], matchActions: [{action: Sigkill}]}]";
  const Status killing = Apply("task", "task_rename", fields);
  ASSERT_TRUE(killing.ok()) << killing;
  EXPECT_EQ(EndAs("sl-allowed"), 0);
  EXPECT_EQ(EndAs("sl-forbidden"), kKilled);
}

TEST_F(HookedTracepoint, WhatIsNotThereIsRefused) {
  const auto refusal = [&](const std::string& name, const std::string& args) {
    const Status applied = Apply("sched", name, "args: [" + args + "]");
    EXPECT_FALSE(applied.ok()) << args;
    return Message(applied);
  };
  EXPECT_THAT(refusal("no_such_event", "{index: 4, type: int}"), HasSubstr("no tracepoint sched/no_such_event"));
  EXPECT_THAT(refusal("sched_process_exit", "{index: 40, type: int}"), HasSubstr("no field 40"));
  EXPECT_THAT(refusal("sched_process_exit", "{index: 3, type: int}"), HasSubstr("common_pid"));
  EXPECT_THAT(refusal("sched_process_exit", "{index: 4, type: int}"), HasSubstr("comm is bytes in the record"));
  EXPECT_THAT(refusal("sched_process_exit", "{index: 5, type: file}"), HasSubstr("pid is a number"));
  EXPECT_TRUE(hooks_->tables().List().empty());
}

}  // namespace
}  // namespace sluice::test
