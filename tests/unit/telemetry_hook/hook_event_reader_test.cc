#include "telemetry/hook/hook_event_reader.h"

#include <gmock/gmock.h>

#include "telemetry/event/flow_text.h"
#include "telemetry/process/past_parents.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/telemetry_hook/hook_records.h"
#include "tests/unit/telemetry_process/process_records.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;
using test::FakeClock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class HookEventReaderTest : public ::testing::Test {
 protected:
  HookEventReaderTest() {
    hook_.Argument(policy::tracing::ArgType::kFile, SL_HOOK_READ_FILE);
    hook_.Int();
  }

  HookEventReader& Reader(HookEventReader::Options options = {}) {
    options.describe = [this](std::uint32_t number, std::uint32_t life) -> std::optional<HookDescription> {
      if (number != 1 || life != 1) return std::nullopt;
      return hook_.Describe();
    };
    if (!options.catch_up) options.catch_up = [this] { catch_ups_++; };
    reader_.emplace(std::move(options), &tree_, &processes_, &hub_, &history_);
    return *reader_;
  }
  void Send(const HookBytes& record) {
    const std::string bytes = record.bytes();
    reader_->Consume(bytes.data(), bytes.size());
  }
  void Exec(const Header& header, const std::string& binary) {
    const auto record = DecodeProcessRecord(ExecBytes(header, binary, "x\0an argument", ""));
    ASSERT_TRUE(record.ok()) << record.status();
    tree_.Apply(*record);
  }
  static HookBytes Access(HookBytes::Header header) {
    HookBytes bytes(header);
    bytes.Text(SL_HOOK_READ_FILE, "/etc/shadow", 0100640).Number(4);
    return bytes;
  }
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    for (const EventPtr& event : history_.Read()) lines.push_back(EventText(*event).substr(25));
    return lines;
  }

  FakeClock clock_;
  OneHook hook_;
  ProcessTree tree_;
  std::optional<policy::ObjectName> workload_ = policy::ObjectName{"shop", "web-0"};
  ProcessEvents processes_{
      "node-1", &tree_, {.workload = [this](const ProcessInstance&) { return workload_; }}, clock_.reader()};
  EventHub hub_{{.node = "node-1", .clock = clock_.reader()}, [](bool) {}};
  History history_;
  int catch_ups_ = 0;
  std::optional<HookEventReader> reader_;
};

TEST_F(HookEventReaderTest, AnEventHasItsProcessAndPolicy) {
  Reader();
  hook_.hook().message = "somebody read it";
  hook_.hook().tags = {"files"};
  Exec({.id = 5, .pid = 10, .start_ns = 7, .birth_ns = 3}, "/bin/cat");
  Send(Access({.process = 5, .pid = 10}));
  reader_->Tick(clock_.now());
  EXPECT_EQ(catch_ups_, 0) << "the process is known";
  const auto events = history_.Read();
  ASSERT_THAT(events, SizeIs(1));
  const v1::Hook& hook = events[0]->hook();
  EXPECT_EQ(hook.type(), "hook");
  EXPECT_EQ(hook.process().exec_id(), "node-1:10:7");
  EXPECT_EQ(hook.process().tid(), 11U) << "the calling thread";
  EXPECT_EQ(hook.kind(), v1::Hook::FUNCTION);
  EXPECT_EQ(hook.policy().kind(), "TracingPolicy");
  EXPECT_EQ(hook.policy().name(), "guard");
  EXPECT_THAT(hook.actions(), ElementsAre(v1::Hook::POST));
  EXPECT_THAT(hook.tags(), ElementsAre("files"));
  EXPECT_EQ(hook.part(), v1::Hook::PART_UNSPECIFIED);
  EXPECT_THAT(Lines(), ElementsAre("HOOK   shop/web-0 10 /bin/cat \"an argument\": "
                                   "security_file_permission(/etc/shadow, 4): somebody read it [guard]"));
}

TEST_F(HookEventReaderTest, AnEventWaitsForTheRecordOfItsProcess) {
  HookEventReader::Options options;
  options.catch_up = [this] {
    catch_ups_++;
    Exec({.id = 5, .pid = 10, .start_ns = 7, .birth_ns = 3}, "/bin/cat");
  };
  Reader(std::move(options));
  for (int i = 0; i < 3; ++i) Send(Access({.process = 5, .pid = 10}));
  reader_->Tick(clock_.now());
  EXPECT_EQ(catch_ups_, 1) << "once for all that were read together";
  EXPECT_THAT(Lines(), testing::Each(HasSubstr("10 /bin/cat")));
  EXPECT_THAT(Lines(), SizeIs(3));
}

TEST_F(HookEventReaderTest, WithoutAnIdTheProcessIsFoundByItsBirth) {
  Reader();
  Exec({.id = 5, .pid = 10, .start_ns = 7, .birth_ns = 3}, "/bin/cat");
  Send(Access({.pid = 10, .birth_ns = 3}));
  Send(Access({.pid = 10, .birth_ns = 2}));
  reader_->Tick(clock_.now());
  const auto events = history_.Read();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(events[0]->hook().process().binary(), "/bin/cat");
  EXPECT_EQ(events[1]->hook().process().binary(), "") << "an earlier process with this pid";
  EXPECT_EQ(events[1]->hook().process().pid(), 10U);
  EXPECT_THAT(events[1]->hook().process().flags(), ElementsAre(v1::Process::INCOMPLETE));
}

TEST_F(HookEventReaderTest, AnUnknownProcessHasTheWorkloadOfItsSubject) {
  HookEventReader::Options options;
  options.subject = [](std::uint32_t subject) -> std::optional<policy::ObjectName> {
    if (subject != 9) return std::nullopt;
    return policy::ObjectName{"shop", "db-0"};
  };
  Reader(std::move(options));
  workload_.reset();
  Send(Access({.subject = 9}));
  Send(Access({.subject = 8}));
  reader_->Tick(clock_.now());
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("HOOK   shop/db-0 10"), HasSubstr("HOOK   - 10")));
}

TEST_F(HookEventReaderTest, CallsAndReturnsAreOneEvent) {
  Reader();
  hook_.Syscall("openat");
  hook_.Returns();
  hook_.compiled.selectors[0].signal = 9;
  Send(Access({.call = 3, .actions = SL_HOOK_ACTION_POST | SL_HOOK_ACTION_SIGNAL}));
  reader_->Tick(clock_.now());
  EXPECT_THAT(Lines(), IsEmpty());
  Send(HookBytes({.kind = SL_HOOK_EVENT_RETURN, .call = 3, .actions = 0, .return_value = -13}));
  reader_->Tick(clock_.now());
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("openat(/etc/shadow, 4) = -13 -> SIGNAL SIGKILL [guard]")));
  EXPECT_EQ(history_.Read()[0]->hook().kind(), v1::Hook::SYSCALL);
}

TEST_F(HookEventReaderTest, PartsOfACallAreTiedTogether) {
  Reader();
  hook_.Returns();
  reader_->Tick(clock_.now());
  Send(Access({.call = 0x1f}));
  clock_.Advance(FakeClock::kSecond);
  reader_->Tick(clock_.now());
  Send(HookBytes({.kind = SL_HOOK_EVENT_RETURN, .call = 0x1f, .actions = 0, .return_value = 8}));
  reader_->Tick(clock_.now());
  const auto events = history_.Read();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(events[0]->hook().part(), v1::Hook::CALL);
  EXPECT_FALSE(events[0]->hook().has_return_value());
  EXPECT_EQ(events[1]->hook().part(), v1::Hook::RETURN);
  EXPECT_EQ(events[1]->hook().return_value().int32_value(), 8);
  EXPECT_EQ(events[0]->hook().call(), "1f");
  EXPECT_EQ(events[1]->hook().call(), "1f");
  EXPECT_EQ(reader_->counters().calls_alone, 1U);
  EXPECT_EQ(reader_->counters().returns_alone, 1U);
}

TEST_F(HookEventReaderTest, ARecordThatWaitedForItsReturnTellsItsActionsApart) {
  Reader();
  hook_.Returns();
  hook_.compiled.selectors[0].return_actions = SL_HOOK_ACTION_QUARANTINE;
  Send(HookBytes({.kind = SL_HOOK_EVENT_WHOLE, .actions = SL_HOOK_ACTION_POST | SL_HOOK_ACTION_QUARANTINE}));
  reader_->Tick(clock_.now());
  const auto events = history_.Read();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_THAT(events[0]->hook().actions(), ElementsAre(v1::Hook::POST));
  EXPECT_THAT(events[0]->hook().return_actions(), ElementsAre(v1::Hook::QUARANTINE));
}

TEST_F(HookEventReaderTest, SelectorsAreNamed) {
  Reader();
  hook_.hook().selectors.resize(2);
  hook_.hook().selectors[1].label = "shadow";
  hook_.compiled.selectors.resize(2);
  hook_.compiled.selectors[1].error = -1;
  Send(Access({.selector = 0}));
  Send(Access({.actions = SL_HOOK_ACTION_POST | SL_HOOK_ACTION_OVERRIDE, .selector = 1, .monitor = 1}));
  Send(Access({.actions = SL_HOOK_ACTION_POST | SL_HOOK_ACTION_SIGNAL, .selector = 200}));
  reader_->Tick(clock_.now());
  const auto events = history_.Read();
  ASSERT_THAT(events, SizeIs(3));
  EXPECT_EQ(events[0]->hook().selector(), "selectors[0]");
  EXPECT_EQ(events[1]->hook().selector(), "shadow");
  EXPECT_EQ(events[1]->hook().error(), "EPERM");
  EXPECT_THAT(EventText(*events[1]), HasSubstr(") -> would OVERRIDE EPERM [guard]"));
  EXPECT_EQ(events[2]->hook().selector(), "") << "the kernel is wrong, and nothing breaks";
}

TEST_F(HookEventReaderTest, TracepointsAreNamedAsInThePolicy) {
  Reader();
  hook_.hook().kind = policy::tracing::HookKind::kTracepoint;
  hook_.Syscall("openat");
  hook_.hook().target = policy::tracing::TracepointTarget{.subsystem = "syscalls", .event = "sys_enter_openat"};
  Send(Access({}));
  reader_->Tick(clock_.now());
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr(": syscalls/sys_enter_openat(/etc/shadow, 4) [guard]")));
  EXPECT_EQ(history_.Read()[0]->hook().kind(), v1::Hook::TRACEPOINT);
}

TEST_F(HookEventReaderTest, DamagedRecordsAndUnknownHooksAreCounted) {
  Reader();
  const auto following = *hub_.Subscribe({});
  const std::string bytes = Access({}).bytes();
  reader_->Consume(bytes.data(), bytes.size() - 8);
  HookBytes cut = Access({.hook = 2});
  cut.event().arguments[0].length = 4000;
  Send(cut);
  Send(Access({.life = 2}));
  reader_->Tick(clock_.now());
  EXPECT_EQ(reader_->counters().malformed, 1U);
  EXPECT_EQ(reader_->counters().cut_arguments, 1U);
  EXPECT_EQ(reader_->counters().unknown_hooks, 2U);
  EXPECT_EQ(reader_->counters().events, 0U);
  const EventPtr lost = following->Next(0ms);
  ASSERT_NE(lost, nullptr);
  EXPECT_EQ(lost->lost().cause(), "HOOK_POLICY_GONE");
  EXPECT_EQ(lost->lost().event(), "hook");
  EXPECT_EQ(lost->lost().count(), 2U);
  reader_->Tick(clock_.now());
  EXPECT_EQ(following->Next(0ms), nullptr) << "told once";
}

TEST_F(HookEventReaderTest, LossesInTheKernelReachFollowers) {
  Reader();
  const auto following = *hub_.Subscribe({});
  reader_->TellLost(0);
  reader_->TellLost(7);
  const EventPtr lost = following->Next(0ms);
  ASSERT_NE(lost, nullptr);
  EXPECT_EQ(lost->lost().cause(), "HOOK_RING_FULL");
  EXPECT_EQ(lost->lost().count(), 7U);
}

TEST_F(HookEventReaderTest, FollowersGetTheParentOnlyIfTheyAsk) {
  Reader();
  Exec({.id = 1, .pid = 5, .start_ns = 2, .birth_ns = 2}, "/bin/bash");
  Exec({.id = 5, .parent = 1, .pid = 10, .start_ns = 7, .birth_ns = 3}, "/bin/cat");
  const auto without = *hub_.Subscribe({});
  Send(Access({.process = 5}));
  reader_->Tick(clock_.now());
  EXPECT_FALSE(without->Next(0ms)->has_parent());
  auto with = *hub_.Subscribe({}, true);
  Send(Access({.process = 5}));
  reader_->Tick(clock_.now());
  const EventPtr event = with->Next(0ms);
  ASSERT_TRUE(event->has_parent());
  EXPECT_EQ(event->parent().binary(), "/bin/bash");
  EXPECT_EQ(event->parent().exec_id(), event->hook().process().parent_exec_id());
  with.reset();
  EXPECT_FALSE(hub_.wants_parents());
}

TEST_F(HookEventReaderTest, PastEventsGetTheParentWhenTheyAreRead) {
  Reader();
  Exec({.id = 1, .pid = 5, .start_ns = 2, .birth_ns = 2}, "/bin/bash");
  Exec({.id = 5, .parent = 1, .pid = 10, .start_ns = 7, .birth_ns = 3}, "/bin/cat");
  Send(Access({.process = 5}));
  Send(Access({.process = 77, .pid = 77}));
  reader_->Tick(clock_.now());
  const auto events = history_.Read();
  ASSERT_THAT(events, SizeIs(2));
  const PastParents parents(&tree_, &processes_);
  EXPECT_EQ(parents.Complete(*events[0]).parent().binary(), "/bin/bash");
  EXPECT_FALSE(parents.Complete(*events[1]).has_parent()) << "the process is not known";
  v1::Event flow;
  flow.mutable_flow()->set_type("flow");
  EXPECT_FALSE(parents.Complete(flow).has_parent());
}

// An exec without a fork before it: the program before is the parent.
TEST_F(HookEventReaderTest, TheParentOfAProgramThatReplacedAnotherIsThatOne) {
  Reader();
  Exec({.id = 1, .pid = 5, .start_ns = 2, .birth_ns = 2}, "/bin/bash");
  Exec({.id = 2, .parent = 1, .pid = 10, .start_ns = 4, .birth_ns = 3, .flags = SL_PROCESS_EXECED}, "/bin/sh");
  Exec({.id = 5, .parent = 1, .pid = 10, .start_ns = 7, .birth_ns = 3, .flags = SL_PROCESS_EXECED, .previous = 2},
       "/bin/cat");
  const auto with = *hub_.Subscribe({}, true);
  Send(Access({.process = 5}));
  reader_->Tick(clock_.now());
  EXPECT_EQ(with->Next(0ms)->parent().binary(), "/bin/sh");
}

TEST_F(HookEventReaderTest, NoMoreThanABatchWaits) {
  HookEventReader::Options options;
  options.max_batch = 10;
  Reader(std::move(options));
  for (int i = 0; i < 25; ++i) Send(Access({}));
  EXPECT_EQ(reader_->counters().events, 20U);
  reader_->Tick(clock_.now());
  EXPECT_EQ(reader_->counters().events, 25U);
}

// Hooks have their own part of the history.
TEST_F(HookEventReaderTest, ManyHooksPushOutNoExec) {
  auto exec = std::make_shared<v1::Event>();
  exec->mutable_exec()->set_type("exec");
  history_.Push(exec);
  Reader();
  for (int i = 0; i < 5000; ++i) Send(Access({}));
  reader_->Tick(clock_.now());
  const auto events = history_.Read();
  EXPECT_THAT(events, SizeIs(4097));
  EXPECT_TRUE(events.back()->has_exec());
}

}  // namespace
}  // namespace sluice::telemetry
