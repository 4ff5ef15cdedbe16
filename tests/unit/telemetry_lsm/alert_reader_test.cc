#include "telemetry/lsm/alert_reader.h"

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "policy/lsm/parser.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

std::shared_ptr<const policy::lsm::Policy> PolicyOf(const std::string& spec) {
  const auto parsed = policy::ParseResources(
      "f.yaml",
      "{apiVersion: security.kubearmor.com/v1, kind: KubeArmorPolicy, metadata: {name: p, namespace: shop}, spec: {" +
          spec + "}}",
      {.more_kinds = policy::lsm::KindParsers()});
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? parsed->front().lsm : nullptr;
}

// A record as the programs write it.
struct Record {
  sl_lsm_event event{};
  std::string path, program, arguments;

  std::string bytes() const {
    sl_lsm_event with_lengths = event;
    with_lengths.path_length = static_cast<std::uint16_t>(path.size());
    with_lengths.program_length = static_cast<std::uint16_t>(program.size());
    with_lengths.arguments_length = static_cast<std::uint16_t>(arguments.size());
    std::string all(sizeof(event), '\0');
    std::memcpy(all.data(), &with_lengths, sizeof(event));
    return all + path + program + arguments;
  }
};

class AlertReaderTest : public testing::Test {
 protected:
  explicit AlertReaderTest(const std::string& spec =
                               "severity: 7, tags: [PCI], message: not this, process: {matchPaths: "
                               "[{path: /bin/cat}]}, presets: [{name: protectEnv}]")
      : policy_(PolicyOf(spec)),
        events_("n1", &tree_, {}, ReadBootClock),
        hub_({.node = "n1"}, [](bool) {}),
        reader_(Options(), &tree_, &events_, &hub_, nullptr) {
    v1::ObserveRequest::Filter filter;
    following_ = *hub_.Subscribe(*EventFilter::Make(filter));
  }

  AlertReader::Options Options() {
    AlertReader::Options options;
    options.describe = [this](std::uint64_t generation, std::uint32_t rule) -> std::optional<AlertDescription> {
      if (generation != 5) return std::nullopt;
      return AlertDescription{policy_, rule == 0 ? &policy_->process[0].rule : &policy_->presets[0].rule};
    };
    options.subject = [](std::uint32_t subject) {
      return subject == 3 ? std::optional(policy::ObjectName{"shop", "web-0"}) : std::nullopt;
    };
    options.labels = [](const policy::ObjectName& name) { return policy::Labels{{"app", name.ToString()}}; };
    options.catch_up = [this] { ++caught_up_; };
    return options;
  }

  // The alert of a record, or nothing.
  std::optional<v1::Alert> AlertOf(const Record& record) {
    const std::string bytes = record.bytes();
    reader_.Consume(bytes.data(), bytes.size());
    reader_.Tick();
    const EventPtr event = following_->Next(0ms);
    if (event == nullptr || !event->has_alert()) return std::nullopt;
    return event->alert();
  }

  static Record Execution() {
    Record record{
        .path = "/usr/bin/cat", .program = "/usr/bin/bash", .arguments = std::string("cat\0/etc/passwd\0", 16)};
    record.event.generation = 5;
    record.event.operation = SL_LSM_EXECUTE;
    record.event.verdict = SL_LSM_BLOCK;
    record.event.reason = SL_LSM_BY_RULE;
    record.event.subject = 3;
    record.event.pid = 4242;
    record.event.tid = 4243;
    record.event.uid = 1000;
    return record;
  }

  std::shared_ptr<const policy::lsm::Policy> policy_;
  ProcessTree tree_;
  ProcessEvents events_;
  EventHub hub_;
  int caught_up_ = 0;
  AlertReader reader_;
  std::unique_ptr<Subscription> following_;
};

TEST_F(AlertReaderTest, ABlockedExecution) {
  const auto alert = AlertOf(Execution());
  ASSERT_TRUE(alert.has_value());
  EXPECT_EQ(alert->node(), "n1");
  EXPECT_EQ(alert->type(), "alert");
  EXPECT_EQ(alert->namespace_() + "/" + alert->workload(), "shop/web-0");
  EXPECT_EQ(alert->labels().at("app"), "shop/web-0");
  EXPECT_EQ(alert->process().pid(), 4242U);
  EXPECT_EQ(alert->process().tid(), 4243U);
  EXPECT_EQ(alert->process().effective_uid(), 1000U);
  EXPECT_EQ(alert->process().binary(), "/usr/bin/bash");
  EXPECT_EQ(alert->operation(), v1::Alert::PROCESS);
  EXPECT_EQ(alert->action(), v1::Alert::BLOCK);
  EXPECT_EQ(alert->error(), "EPERM");
  EXPECT_EQ(alert->resource(), "/usr/bin/cat");
  EXPECT_THAT(alert->arguments(), ElementsAre("/etc/passwd"));
  EXPECT_EQ(alert->hook(), "bprm_check_security");
  EXPECT_EQ(alert->enforcer(), "BPFLSM");
  EXPECT_EQ(alert->severity(), 7U);
  EXPECT_THAT(alert->tags(), ElementsAre("PCI"));
  EXPECT_EQ(alert->message(), "not this");
  EXPECT_EQ(alert->policy().kind(), "KubeArmorPolicy");
  EXPECT_EQ(alert->policy().name(), "p");
  EXPECT_EQ(alert->policy().rule(), "spec.process.matchPaths[0]");
  EXPECT_EQ(alert->policy().effect(), v1::PolicyRef::DENY);
  EXPECT_EQ(alert->preset(), "");
  EXPECT_EQ(caught_up_, 0) << "no process is named";
}

TEST_F(AlertReaderTest, WhatPassesIsAuditedAndAPostureSaysSo) {
  Record record = Execution();
  record.event.verdict = SL_LSM_AUDIT;
  record.event.subject = 0;
  auto alert = AlertOf(record);
  ASSERT_TRUE(alert.has_value());
  EXPECT_EQ(alert->action(), v1::Alert::AUDIT);
  EXPECT_EQ(alert->error(), "");
  EXPECT_EQ(alert->workload(), "");
  EXPECT_EQ(alert->policy().effect(), v1::PolicyRef::AUDIT);
  EXPECT_EQ(alert->policy().would(), v1::PolicyRef::EFFECT_UNSPECIFIED);
  record.event.reason = SL_LSM_BY_POSTURE;
  EXPECT_EQ(AlertOf(record)->policy().would(), v1::PolicyRef::DEFAULT_DENY);
  record.event.verdict = SL_LSM_BLOCK;
  EXPECT_EQ(AlertOf(record)->policy().effect(), v1::PolicyRef::DEFAULT_DENY);
}

TEST_F(AlertReaderTest, EachOperationNamesWhatItIsAbout) {
  Record record = Execution();
  record.arguments = "";
  record.path = "/etc/passwd";
  record.event.operation = SL_LSM_UNLINK;
  record.event.flags = SL_LSM_EVENT_WRITES | SL_LSM_EVENT_PATH_TRUNCATED;
  auto alert = AlertOf(record);
  ASSERT_TRUE(alert.has_value());
  EXPECT_EQ(alert->operation(), v1::Alert::FILE);
  EXPECT_EQ(alert->hook(), "path_unlink");
  EXPECT_TRUE(alert->writes());
  EXPECT_TRUE(alert->resource_truncated());
  record.path = "";
  record.event.flags = 0;
  record.event.operation = SL_LSM_CREATE_SOCKET;
  record.event.family = AF_INET;
  record.event.type = SOCK_STREAM;
  record.event.protocol = IPPROTO_TCP;
  alert = AlertOf(record);
  EXPECT_EQ(alert->operation(), v1::Alert::NETWORK);
  EXPECT_EQ(alert->socket().family(), "AF_INET");
  EXPECT_EQ(alert->socket().type(), "SOCK_STREAM");
  EXPECT_EQ(alert->socket().protocol(), "IPPROTO_TCP");
  record.event.operation = SL_LSM_USE_CAPABILITY;
  record.event.number = 13;
  EXPECT_EQ(AlertOf(record)->resource(), "CAP_NET_RAW");
  record.event.operation = SL_LSM_SYSTEM_CALL;
  record.event.number = 999'999;
  alert = AlertOf(record);
  EXPECT_EQ(alert->operation(), v1::Alert::SYSCALL);
  EXPECT_EQ(alert->resource(), "999999");
  EXPECT_EQ(alert->enforcer(), "eBPF Monitor");
}

TEST_F(AlertReaderTest, APresetIsNamed) {
  Record record = Execution();
  record.event.operation = SL_LSM_OPEN;
  record.event.rule = 1;
  const auto alert = AlertOf(record);
  ASSERT_TRUE(alert.has_value());
  EXPECT_EQ(alert->preset(), "protectEnv");
  EXPECT_EQ(alert->policy().rule(), "spec.presets[0]");
}

TEST_F(AlertReaderTest, WrongAndUnknownRecordsAreCounted) {
  Record record = Execution();
  const std::string whole = record.bytes();
  for (std::size_t size = 0; size < whole.size(); ++size) reader_.Consume(whole.data(), size);
  record.event.operation = SL_LSM_OPERATION_COUNT;
  const std::string wrong = record.bytes();
  reader_.Consume(wrong.data(), wrong.size());
  reader_.Tick();
  EXPECT_EQ(reader_.counters().malformed, whole.size() + 1);
  EXPECT_EQ(following_->Next(0ms), nullptr);
  record = Execution();
  record.event.generation = 4;
  EXPECT_FALSE(AlertOf(record).has_value());
  EXPECT_EQ(reader_.counters().unknown_rules, 1U);
  EXPECT_EQ(reader_.counters().alerts, 0U);
}

TEST_F(AlertReaderTest, LossesAreTold) {
  reader_.TellLost(0);
  EXPECT_EQ(following_->Next(0ms), nullptr);
  reader_.TellLost(7);
  const EventPtr lost = following_->Next(0ms);
  ASSERT_NE(lost, nullptr);
  EXPECT_EQ(lost->lost().cause(), "ALERT_RING_FULL");
  EXPECT_EQ(lost->lost().event(), "alert");
  EXPECT_EQ(lost->lost().count(), 7U);
}

TEST_F(AlertReaderTest, WaitsForTheRecordOfItsProcess) {
  Record record = Execution();
  record.event.process = 77;
  EXPECT_TRUE(AlertOf(record).has_value());
  EXPECT_EQ(caught_up_, 1);
}

}  // namespace
}  // namespace sluice::telemetry
