// Hooks on system calls: which calls are seen, with which arguments, and what is done about them.
#include <csignal>

#include "tests/hooks/hook_test.h"

namespace sluice::test {
namespace {

using testing::HasSubstr;

class HookedSystemCall : public HookTest {};
SL_FOR_EACH_SYSCALL_BACK_END(HookedSystemCall);

TEST_P(HookedSystemCall, AnEqualTextIsSeen) {
  const Status applied = fixture().Apply(OpenPolicy("equal"));
  ASSERT_TRUE(applied.ok()) << applied;
  const pid_t negative = Fork([&] { OpenFile(other()); });
  Reap(negative);
  const pid_t child = Fork([&] { OpenFile(file()); });
  Reap(child);
  const auto record = fixture().WaitFor(Of(child));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->Text(0), file());
  EXPECT_EQ(record->event.kind, SL_HOOK_EVENT_ENTER);
  EXPECT_EQ(record->event.actions, static_cast<__u32>(SL_HOOK_ACTION_POST));
  EXPECT_EQ(record->event.tid, static_cast<__u32>(child));
  EXPECT_EQ(record->event.call, 0U) << "it has no return";
  EXPECT_EQ(fixture().PolicyOf(*record), "equal");
  EXPECT_EQ(fixture().Count("equal", SL_HOOK_COUNT_MATCHED), 1U);
  EXPECT_EQ(fixture().Count("equal", SL_HOOK_COUNT_POSTED), 1U);
  EXPECT_EQ(RecordsOf(negative), 0U);
}

TEST_P(HookedSystemCall, StatusSaysHowItIsSeen) {
  ASSERT_TRUE(fixture().Apply(OpenPolicy("status")).ok());
  const auto list = fixture().tables().List();
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].name.ToString(), "status");
  EXPECT_GT(list[0].bytes, 0U);
  EXPECT_LE(list[0].bytes, 300U << 10);
  ASSERT_EQ(list[0].hooks.size(), 1U);
  EXPECT_THAT(list[0].hooks[0].attached, ByKprobe() ? HasSubstr("kprobe __") : HasSubstr("raw tracepoint sys_enter"));
}

TEST_P(HookedSystemCall, PrefixAndPostfix) {
  for (const auto& [op, value] : {std::pair{"Prefix", directory().path() + "/sec"},
                                  std::pair{"Postfix", directory().path().substr(5) + "/secret"}}) {
    const std::string name = std::string(op) == "Prefix" ? "prefix" : "postfix";
    const Status applied = fixture().Apply(PolicyText(
        name, fmt::format("{{kprobes: [{{call: sys_openat, syscall: true, args: [{{index: 1, type: string}}], "
                          "selectors: [{{matchArgs: [{{index: 1, operator: {}, values: [\"{}\"]}}]}}]}}]}}",
                          op, value)));
    ASSERT_TRUE(applied.ok()) << applied;
    const pid_t negative = Fork([&] { OpenFile(other()); });
    Reap(negative);
    const pid_t child = Fork([&] { OpenFile(file()); });
    Reap(child);
    const auto record = fixture().WaitFor(Of(child));
    ASSERT_TRUE(record.ok()) << op << ": " << record.status();
    EXPECT_EQ(record->Text(0), file());
    EXPECT_EQ(fixture().PolicyOf(*record), name);
    EXPECT_EQ(RecordsOf(negative), 0U);
    ASSERT_TRUE(fixture().RemoveAll().ok());
  }
}

TEST_P(HookedSystemCall, NumbersBuffersAndReturnValues) {
  const Status applied = fixture().Apply(PolicyText(
      "write",
      "{kprobes: [{call: sys_write, syscall: true, return: true, args: [{index: 0, type: int}, {index: 1, type: "
      "char_buf, sizeArgIndex: 3}, {index: 2, type: size_t}], returnArg: {index: 0, type: int}, selectors: "
      "[{matchArgs: [{index: 0, operator: Equal, values: [\"777\"]}, {index: 1, operator: Prefix, values: "
      "[\"hello\"]}]}]}]}"));
  ASSERT_TRUE(applied.ok()) << applied;
  // The texts are in memory that the child has: what is not in memory cannot be read without sleeping.
  const auto write_to = [&](int fd, const std::string& text) {
    return Fork([&, fd] {
      int ends[2];
      if (pipe(ends) != 0 || dup2(ends[1], fd) != fd) _exit(1);
      (void)!write(fd, text.data(), text.size());
    });
  };
  const pid_t other_file = write_to(778, "hello, world");
  const pid_t other_text = write_to(777, "HELLO, WORLD");
  const pid_t child = write_to(777, "hello, world");
  for (const pid_t pid : {other_file, other_text, child}) EXPECT_EQ(Reap(pid), 0);
  const auto enter = fixture().WaitFor(Of(child));
  ASSERT_TRUE(enter.ok()) << enter.status();
  EXPECT_EQ(enter->event.kind, SL_HOOK_EVENT_ENTER);
  EXPECT_EQ(enter->event.arguments[0].number, 777U);
  EXPECT_EQ(enter->Text(1), "hello, world");
  EXPECT_EQ(enter->event.arguments[2].number, 12U);
  const auto at_return = fixture().WaitFor(Of(child));
  ASSERT_TRUE(at_return.ok()) << at_return.status();
  EXPECT_EQ(at_return->event.kind, SL_HOOK_EVENT_RETURN);
  EXPECT_NE(enter->event.call, 0U);
  EXPECT_EQ(at_return->event.call, enter->event.call);
  EXPECT_EQ(at_return->event.return_value, 12);
  EXPECT_EQ(fixture().Count("write", SL_HOOK_COUNT_MATCHED), 1U);
}

TEST_P(HookedSystemCall, TheReturnDecides) {
  const Status applied = fixture().Apply(PolicyText(
      "absent",
      fmt::format("{{kprobes: [{{call: sys_openat, syscall: true, return: true, args: [{{index: 1, type: string}}], "
                  "returnArg: {{index: 0, type: int}}, selectors: [{{matchArgs: [{{index: 1, operator: Prefix, values: "
                  "[\"{}/\"]}}], matchReturnArgs: [{{index: 0, operator: Equal, values: [\"-2\"]}}]}}]}}]}}",
                  directory().path())));
  ASSERT_TRUE(applied.ok()) << applied;
  const pid_t present = Fork([&] { OpenFile(file()); });
  const pid_t absent = Fork([&] { OpenFile(file() + "-not-here"); });
  for (const pid_t pid : {present, absent}) Reap(pid);
  const auto record = fixture().WaitFor(Of(absent));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->event.kind, SL_HOOK_EVENT_WHOLE);
  EXPECT_EQ(record->event.return_value, -ENOENT);
  EXPECT_EQ(record->Text(0), file() + "-not-here");
  EXPECT_EQ(fixture().Count("absent", SL_HOOK_COUNT_POSTED), 1U) << "and none of the file that is there";
  EXPECT_EQ(RecordsOf(present), 0U);
}

TEST_P(HookedSystemCall, Sigkill) {
  ASSERT_TRUE(fixture().Apply(OpenPolicy("kill", "matchActions: [{action: Sigkill}]")).ok());
  EXPECT_EQ(StatusOfOpen(other()), 0);
  const pid_t child = Fork([&] { OpenFile(file()); });
  EXPECT_EQ(Reap(child), kKilled);
  const auto record = fixture().WaitFor(Of(child));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_TRUE(record->Did(SL_HOOK_ACTION_SIGNAL));
  EXPECT_FALSE(record->event.monitor);
  EXPECT_EQ(fixture().Count("kill", SL_HOOK_COUNT_SIGNALLED), 1U);
  ASSERT_TRUE(fixture().RemoveAll().ok());
  EXPECT_EQ(StatusOfOpen(file()), 0) << "the policy is gone";
}

TEST_P(HookedSystemCall, SignalSendsItsNumber) {
  const Status applied =
      fixture().Apply(OpenPolicy("signal", fmt::format("matchActions: [{{action: Signal, argSig: {}}}]", SIGUSR1)));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(StatusOfOpen(other()), 0);
  EXPECT_EQ(StatusOfOpen(file()), SIGUSR1) << "which ends a process that does not handle it";
  EXPECT_EQ(StatusOfOpen(file(), [] { signal(SIGUSR1, SIG_IGN); }), 0);
  EXPECT_EQ(fixture().Count("signal", SL_HOOK_COUNT_SIGNALLED), 2U);
}

TEST_P(HookedSystemCall, SigkillWithoutAnEvent) {
  const Status applied = fixture().Apply(OpenPolicy("quiet", "matchActions: [{action: Sigkill}, {action: NoPost}]"));
  ASSERT_TRUE(applied.ok()) << applied;
  const pid_t child = Fork([&] { OpenFile(file()); });
  EXPECT_EQ(Reap(child), kKilled);
  EXPECT_EQ(RecordsOf(child), 0U);
  EXPECT_EQ(fixture().Count("quiet", SL_HOOK_COUNT_SIGNALLED), 1U);
  EXPECT_EQ(fixture().Count("quiet", SL_HOOK_COUNT_POSTED), 0U);
}

TEST_P(HookedSystemCall, RateLimit) {
  ASSERT_TRUE(fixture().Apply(OpenPolicy("rate", "matchActions: [{action: Post, rateLimit: \"1m\"}]")).ok());
  const auto open_ten_times = [&] {
    const pid_t child = Fork([&] {
      for (int i = 0; i < 10; ++i) OpenFile(file());
    });
    Reap(child);
    return child;
  };
  const pid_t first = open_ten_times(), second = open_ten_times();
  std::map<std::uint32_t, int> records;
  for (const HookRecord& record : fixture().Take()) records[record.event.pid]++;
  EXPECT_EQ(records[static_cast<std::uint32_t>(first)], 1);
  EXPECT_EQ(records[static_cast<std::uint32_t>(second)], 1) << "the limit is that of a thread";
  EXPECT_EQ(fixture().Count("rate", SL_HOOK_COUNT_MATCHED), 20U);
  EXPECT_EQ(fixture().Count("rate", SL_HOOK_COUNT_RATE_LIMITED), 18U);
}

TEST_P(HookedSystemCall, MonitorModeOnlySaysWhatItWouldDo) {
  const std::string policy = OpenPolicy("monitor", "matchActions: [{action: Sigkill}]");
  ASSERT_TRUE(fixture().Apply(policy, {.enabled = true, .monitor = true}).ok());
  const pid_t child = Fork([&] { OpenFile(file()); });
  EXPECT_EQ(Reap(child), 0);
  const auto record = fixture().WaitFor(Of(child));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_TRUE(record->event.monitor);
  EXPECT_TRUE(record->Did(SL_HOOK_ACTION_SIGNAL));
  EXPECT_EQ(fixture().Count("monitor", SL_HOOK_COUNT_WOULD_ENFORCE), 1U);
  EXPECT_EQ(fixture().Count("monitor", SL_HOOK_COUNT_SIGNALLED), 0U);

  const policy::ObjectName name{.ns = "", .name = "monitor"};
  ASSERT_TRUE(fixture().tables().SetState(name, {.enabled = true, .monitor = false}).ok());
  EXPECT_EQ(StatusOfOpen(file()), kKilled);
  ASSERT_TRUE(fixture().tables().SetState(name, {.enabled = false, .monitor = false}).ok());
  EXPECT_EQ(StatusOfOpen(file()), 0) << "it is disabled";
  EXPECT_TRUE(absl::IsNotFound(fixture().tables().SetState({.ns = "", .name = "none"}, {})));
}

TEST_P(HookedSystemCall, TwoPoliciesOnOneCall) {
  ASSERT_TRUE(fixture().Apply(OpenPolicy("one")).ok());
  ASSERT_TRUE(fixture().Apply(OpenPolicy("two")).ok());
  const auto policies = [&] {
    const pid_t child = Fork([&] { OpenFile(file()); });
    Reap(child);
    std::vector<std::string> names;
    for (const HookRecord& record : fixture().Take()) {
      if (Of(child)(record)) names.push_back(fixture().PolicyOf(record));
    }
    return names;
  };
  EXPECT_THAT(policies(), testing::UnorderedElementsAre("one", "two"));
  ASSERT_TRUE(fixture().tables().Remove({.ns = "", .name = "one"}).ok());
  EXPECT_THAT(policies(), testing::ElementsAre("two"));
}

// One hook looks at the call's return, the other does not, and they come and go in any order.
TEST_P(HookedSystemCall, OnlyHooksThatWantTheReturnGetIt) {
  const auto with_return = [&](const std::string& name) {
    return PolicyText(name, fmt::format("{{kprobes: [{{call: sys_openat, syscall: true, return: true, args: [{{index: "
                                        "1, type: string}}], returnArg: {{index: 0, type: int}}, selectors: "
                                        "[{{matchArgs: [{{index: 1, operator: Equal, values: [\"{}\"]}}]}}]}}]}}",
                                        file()));
  };
  const auto kinds = [&] {
    const pid_t child = Fork([&] { OpenFile(file()); });
    Reap(child);
    std::vector<std::string> found;
    for (const HookRecord& record : fixture().Take()) {
      if (!Of(child)(record)) continue;
      found.push_back(fixture().PolicyOf(record) + (record.event.kind == SL_HOOK_EVENT_RETURN ? " return" : " enter"));
    }
    return found;
  };
  ASSERT_TRUE(fixture().Apply(OpenPolicy("plain")).ok());
  EXPECT_THAT(kinds(), testing::ElementsAre("plain enter"));
  const Status applied = fixture().Apply(with_return("both"));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_THAT(kinds(), testing::ElementsAre("plain enter", "both enter", "both return"));
  ASSERT_TRUE(fixture().tables().Remove({.ns = "", .name = "both"}).ok());
  EXPECT_THAT(kinds(), testing::ElementsAre("plain enter"));
  ASSERT_TRUE(fixture().Apply(with_return("both")).ok());
  ASSERT_TRUE(fixture().tables().Remove({.ns = "", .name = "plain"}).ok());
  EXPECT_THAT(kinds(), testing::ElementsAre("both enter", "both return"));
}

}  // namespace
}  // namespace sluice::test
