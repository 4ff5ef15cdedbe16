// Events in, actions and records out. Actions are noted, not done, but for those of real processes in killer_test.cc.
#include "ctrl/respond/responder.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <filesystem>
#include <future>

#include "policy/response/parser.h"
#include "tests/unit/respond/child.h"

namespace sluice::respond {
namespace {

using namespace std::chrono_literals;
using policy::ObjectName;
using policy::response::Notify;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

policy::ResourceMap Resources(const std::string& yaml) {
  policy::ResourceMap map;
  auto parsed = policy::ParseResources("r.yaml", yaml, {.more_kinds = policy::response::KindParsers()});
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  if (!parsed.ok()) return map;
  for (const policy::Resource& resource : *parsed) map.insert_or_assign(resource.id, resource);
  return map;
}

std::string Document(const std::string& name, const std::string& spec) {
  return fmt::format("---\n{{apiVersion: sluice.dev/v1alpha1, kind: Response, metadata: {{name: {}}}, spec: {}}}\n",
                     name, spec);
}

std::string On(const std::string& actions, const std::string& more = "") {
  return Document("r", "{match: [{sources: [Hook, Denial, KubeArmor]}], do: {" + actions + "}" + more + "}");
}

class ResponderTest : public testing::Test {
 protected:
  ResponderTest()
      : hub_({.node = "n1", .queue_capacity = 64, .queue_bytes = 1 << 20, .max_subscribers = 4}, [](bool) {}) {
    v1::ObserveRequest::Filter filter;
    filter.add_types("response");
    following_ = *hub_.Subscribe(telemetry::EventFilter::Make(filter).value());
  }
  ~ResponderTest() override { std::filesystem::remove_all(directory_); }

  Responder& Start(const std::string& yaml) {
    Responder::Actions actions;
    actions.quarantine = [this](const ObjectName& name, std::string* unsaved) {
      if (block_.valid()) block_.wait();
      const std::lock_guard lock(mutex_);
      quarantined_.push_back(name.ToString());
      *unsaved = unsaved_;
      return quarantine_status_;
    };
    if (keeps_packets_) {
      actions.capture = [this](const ObjectName& name, const std::string& why) -> StatusOr<std::string> {
        const std::lock_guard lock(mutex_);
        if (!captured_.empty()) return MakeError(absl::StatusCode::kResourceExhausted, "too soon");
        captured_.push_back(name.ToString() + ": " + why);
        return "/captures/one.pcapng";
      };
    }
    actions.kill = KillByDescriptor;
    actions.notify = [this](const Notify& notify, const std::string& json) {
      const std::lock_guard lock(mutex_);
      messages_.push_back(notify.url + " " + json);
      return OkStatus();
    };
    actions.labels = [](const ObjectName& name) { return policy::Labels{{"name", name.name}}; };
    Responder::Options options;
    options.node = "n1";
    options.forensics.directory = directory_;
    options.now = [this] { return now_.load(); };
    responder_ = std::make_unique<Responder>(options, actions,
                                             Responder::Processes{.tree = &tree_,
                                                                  .workload =
                                                                      [](const auto&) {
                                                                        return ObjectName{"shop", "web-0"};
                                                                      }},
                                             &hub_, nullptr);
    const Status set = responder_->Set(Resources(yaml));
    EXPECT_TRUE(set.ok()) << set;
    return *responder_;
  }

  // `more` replaces what `text` says.
  void Publish(const std::string& text, const std::string& more = "") {
    auto event = std::make_shared<v1::Event>();
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, event.get())) << text;
    v1::Event change;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(more, &change)) << more;
    event->MergeFrom(change);
    hub_.Publish(event);
  }
  // By the policy `guard`.
  void PublishHook(const std::string& workload = "web-0", const std::string& more = "") {
    Publish(fmt::format(
        R"(hook {{ type: "hook" namespace: "shop" workload: "{}" policy {{ kind: "TracingPolicy" name: "guard" }}
                        selector: "selectors[0]" {} }})",
        workload, more));
  }
  void PublishDenial(const std::string& more = "") {
    Publish(R"(flow { type: "flow" event: NEW verdict: DROPPED drop_reason: "POLICY_DENIED" flow_id: "7"
               source { namespace: "shop" workload: "web-0" labels { key: "app" value: "web" } }
               destination { namespace: "shop" workload: "db-0" }
               policies { namespace: "shop" name: "allowed" rule: "egress[0]" effect: ALLOW }
               policies { namespace: "shop" name: "db" effect: DEFAULT_DENY } })",
            "flow {" + more + "}");
  }
  // "ACTION OUTCOME workload: problem" of the next record; "none" if none comes.
  std::string Next() {
    const auto event = following_->Next(2000ms);
    if (event == nullptr) return "none";
    last_ = event->response();
    std::string text =
        last_.action() == v1::Response::ACTION_UNSPECIFIED ? "" : v1::Response::Action_Name(last_.action()) + " ";
    text += v1::Response::Outcome_Name(last_.outcome()) + " " + last_.namespace_() + "/" + last_.workload();
    return last_.problem().empty() ? text : text + ": " + last_.problem();
  }
  bool NothingComes() { return following_->Next(300ms) == nullptr; }
  std::vector<std::string> quarantined() {
    const std::lock_guard lock(mutex_);
    return quarantined_;
  }

  const std::string directory_ = testing::TempDir() + "sluice-respond-" + std::to_string(getpid());
  telemetry::EventHub hub_;
  telemetry::ProcessTree tree_;
  std::unique_ptr<telemetry::Subscription> following_;
  std::mutex mutex_;
  std::vector<std::string> quarantined_;  // by mutex_
  std::vector<std::string> messages_;     // by mutex_
  std::vector<std::string> captured_;     // by mutex_
  bool keeps_packets_ = true;
  std::string unsaved_;
  Status quarantine_status_ = OkStatus();
  std::shared_future<void> block_;
  std::atomic<Limiter::Time> now_ = Limiter::Time(1h);
  v1::Response last_;
  std::unique_ptr<Responder> responder_;
};

TEST_F(ResponderTest, AHookHitCutsItsWorkloadOffAndIsToldWithItsCause) {
  Start(On("quarantine: {}"));
  PublishHook("web-0", R"(time { seconds: 1 } tags: "net" function: "openat" process { pid: 42 binary: "/bin/x" })");
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
  EXPECT_THAT(quarantined(), ElementsAre("shop/web-0"));
  EXPECT_EQ(last_.node(), "n1");
  EXPECT_EQ(last_.type(), "response");
  EXPECT_EQ(last_.response(), "r");
  EXPECT_EQ(last_.process().binary(), "/bin/x");
  const v1::ResponseCause& cause = last_.cause();
  EXPECT_EQ(cause.source(), "Hook");
  EXPECT_EQ(cause.event(), "hook");
  EXPECT_EQ(cause.time().seconds(), 1);
  ASSERT_EQ(cause.policies_size(), 1);
  EXPECT_EQ(cause.policies(0).name(), "guard");
  EXPECT_THAT(cause.rules(), ElementsAre("selectors[0]"));
  EXPECT_THAT(cause.tags(), ElementsAre("net"));
  EXPECT_THAT(cause.text(), HasSubstr("openat"));
  EXPECT_GT(last_.delay().seconds(), 1'000'000);
  EXPECT_TRUE(NothingComes()) << "a record is no cause";
  const Reports reports = responder_->reports();
  EXPECT_EQ(reports.at("r").counts[v1::Response::QUARANTINE][v1::Response::DONE], 1U);
  EXPECT_TRUE(reports.at("r").last.has_value());
}

TEST_F(ResponderTest, PacketsAreCapturedWithTheCauseInTheirFile) {
  Start(On("notify: {url: 'http://a'}, capture: {}, quarantine: {}"));
  PublishHook("web-0", R"(function: "openat")");
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
  EXPECT_EQ(Next(), "CAPTURE DONE shop/web-0");
  EXPECT_EQ(last_.capture_file(), "/captures/one.pcapng");
  EXPECT_EQ(Next(), "NOTIFY DONE shop/web-0");
  ASSERT_EQ(captured_.size(), 1U);
  EXPECT_THAT(captured_[0], AllOf(HasSubstr("shop/web-0: Response r: "), HasSubstr("openat")));
  PublishHook();
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
  EXPECT_EQ(Next(), "CAPTURE FAILED shop/web-0: too soon");
  EXPECT_EQ(last_.capture_file(), "");
}

TEST_F(ResponderTest, WithoutPacketsACaptureFails) {
  keeps_packets_ = false;
  Start(On("capture: {}"));
  PublishHook();
  EXPECT_EQ(Next(), "CAPTURE FAILED shop/web-0: this agent keeps no packets");
}

TEST_F(ResponderTest, ADenialIsAboutWhoOpenedTheFlow) {
  Start(On("quarantine: {}"));
  PublishDenial();
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
  EXPECT_EQ(last_.cause().flow_id(), "7");
  ASSERT_EQ(last_.cause().policies_size(), 1) << "not those that allow";
  EXPECT_EQ(last_.cause().policies(0).name(), "db");
  // A stranger's packets, an end of a flow, a drop that no policy decided, a flow that passed.
  Publish(R"(flow { event: NEW verdict: DROPPED drop_reason: "POLICY_DENIED" source { entity: "world" }
             destination { namespace: "shop" workload: "db-0" } policies { name: "db" effect: DENY } })");
  PublishDenial("event: END");
  PublishDenial(R"(drop_reason: "SPOOFED_SOURCE")");
  PublishDenial("verdict: FORWARDED");
  EXPECT_TRUE(NothingComes());
}

TEST_F(ResponderTest, WhatOnlyWatchesLeadsToADryRun) {
  Start(On("quarantine: {}, kill: {}, notify: {url: 'http://a'}"));
  Child child;
  const auto instance = AddTo(tree_, child.pid(), 1);
  const std::string process =
      fmt::format(R"(process {{ pid: {} exec_id: "{}" }})", instance.pid, telemetry::ExecId("n1", instance));
  PublishHook("web-0", "monitor: true " + process);
  EXPECT_EQ(Next(), "QUARANTINE DRY_RUN shop/web-0");
  EXPECT_EQ(Next(), "KILL DRY_RUN shop/web-0");
  EXPECT_EQ(Next(), "NOTIFY DRY_RUN shop/web-0");
  PublishDenial("verdict: AUDIT");
  EXPECT_EQ(Next(), "QUARANTINE DRY_RUN shop/web-0");
  EXPECT_THAT(quarantined(), IsEmpty());
  EXPECT_THAT(messages_, IsEmpty());
  EXPECT_TRUE(child.IsAlive());
}

TEST_F(ResponderTest, ADryRunDoesNothing) {
  Start(On("quarantine: {}", ", dryRun: true"));
  PublishHook();
  EXPECT_EQ(Next(), "QUARANTINE DRY_RUN shop/web-0");
  EXPECT_THAT(quarantined(), IsEmpty());
}

TEST_F(ResponderTest, ItKillsWhatTheEventNamesAndTellsWhom) {
  Start(On("kill: {}"));
  Child child;
  const auto instance = AddTo(tree_, child.pid(), 1);
  PublishHook("web-0",
              fmt::format(R"(process {{ pid: {} exec_id: "{}" }})", instance.pid, telemetry::ExecId("n1", instance)));
  EXPECT_EQ(Next(), "KILL DONE shop/web-0");
  EXPECT_EQ(child.Signal(), SIGKILL);
  ASSERT_EQ(last_.killed_size(), 1);
  EXPECT_EQ(last_.killed(0).pid(), instance.pid);
  PublishHook("web-0", fmt::format(R"(process {{ pid: {} exec_id: "n1:{}:5" }})", instance.pid, instance.pid));
  EXPECT_EQ(Next(), "KILL FAILED shop/web-0: the process is not known, or has ended");
  PublishHook();
  EXPECT_EQ(Next(), "KILL FAILED shop/web-0: the process is not known, or has ended");
}

TEST_F(ResponderTest, WhatIsCollectedIsThereAfterTheKill) {
  Start(On("kill: {}, collect: {executable: false, written: false}"));
  Child child([] {
    if (write(memfd_create("stage", 0), "abc", 3) != 3) _exit(1);
  });
  const auto instance = AddTo(tree_, child.pid(), 1);
  PublishHook("web-0",
              fmt::format(R"(process {{ pid: {} exec_id: "{}" }})", instance.pid, telemetry::ExecId("n1", instance)));
  EXPECT_EQ(Next(), "KILL DONE shop/web-0");
  EXPECT_EQ(Next(), "COLLECT DONE shop/web-0");
  ASSERT_EQ(last_.files_size(), 1);
  EXPECT_EQ(last_.files(0).path(), "/memfd:stage (deleted)");
  EXPECT_EQ(last_.files(0).kind(), v1::CollectedFile::MEMORY);
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/" + last_.files(0).sha256()));
  EXPECT_EQ(responder_->forensics().files, 1U);
}

TEST_F(ResponderTest, NeverSparesAndSaysSoOnce) {
  Start(On("quarantine: {}", ", never: [{selector: {matchLabels: {name: web-0}}}]"));
  for (int i = 0; i < 5; ++i) PublishHook();
  PublishHook("db-0");
  EXPECT_EQ(Next(), "SPARED shop/web-0");
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/db-0");
  EXPECT_THAT(quarantined(), ElementsAre("shop/db-0"));
  EXPECT_EQ(responder_->reports().at("r").spared, 5U);
  now_ = now_.load() + 60s;
  PublishHook();
  EXPECT_EQ(Next(), "SPARED shop/web-0");
  EXPECT_EQ(last_.left_out(), 4U);
}

TEST_F(ResponderTest, LimitsAreOfEachWorkload) {
  Start(On("quarantine: {}", ", rateLimit: {perWorkload: 2, total: 100, seconds: 60}"));
  for (int i = 0; i < 5; ++i) PublishHook();
  PublishHook("db-0");
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
  EXPECT_EQ(Next(), "LIMITED shop/web-0");
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/db-0");
  EXPECT_EQ(responder_->reports().at("r").limited, 3U);
  now_ = now_.load() + 60s;
  PublishHook();
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
  EXPECT_EQ(last_.left_out(), 2U);
}

// Its events fill the queue while an answer is given; the other workload's event has its place in it.
TEST_F(ResponderTest, AFloodOfOneWorkloadDoesNotStarveAnother) {
  Start(On("quarantine: {}", ", rateLimit: {perWorkload: 1, total: 10, seconds: 3600}"));
  std::promise<void> go;
  block_ = go.get_future().share();
  for (int i = 0; i < 10'000; ++i) PublishHook("flood");
  PublishHook("quiet");
  for (int i = 0; i < 10'000; ++i) PublishHook("flood");
  go.set_value();
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/flood");
  EXPECT_EQ(Next(), "LIMITED shop/flood");
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/quiet");
  EXPECT_TRUE(NothingComes());
  EXPECT_GT(responder_->lost(), 0U);
  const Report report = responder_->reports().at("r");
  EXPECT_EQ(responder_->lost() + report.limited + 2, 20'001U) << "each event is answered, left out or lost";
}

TEST_F(ResponderTest, FailuresAndWhatIsNotSavedAreTold) {
  Start(On("quarantine: {}"));
  unsaved_ = "no space";
  PublishHook();
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0: in force, but not saved: no space");
  unsaved_ = "";
  quarantine_status_ = MakeError(absl::StatusCode::kNotFound, "no such workload");
  PublishHook();
  EXPECT_EQ(Next(), "QUARANTINE FAILED shop/web-0: no such workload");
  EXPECT_EQ(responder_->reports().at("r").counts[v1::Response::QUARANTINE][v1::Response::FAILED], 1U);
}

TEST_F(ResponderTest, TheHostCannotBeCutOff) {
  Start(On("quarantine: {}", ", workloads: [{host: true}]"));
  Publish(R"(hook { type: "hook" policy { name: "guard" } })");
  EXPECT_EQ(Next(), "QUARANTINE FAILED /: a process of the node is in no workload to cut off");
  EXPECT_THAT(quarantined(), IsEmpty());
}

TEST_F(ResponderTest, AMessageSaysWhatWasDone) {
  Start(On("quarantine: {}, notify: {url: 'http://siem/a'}"));
  PublishHook();
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
  EXPECT_EQ(Next(), "NOTIFY DONE shop/web-0");
  const std::lock_guard lock(mutex_);
  ASSERT_EQ(messages_.size(), 1U);
  EXPECT_THAT(messages_.front(), testing::StartsWith("http://siem/a {"));
  EXPECT_THAT(messages_.front(), HasSubstr(R"("outcomes":["QUARANTINE DONE"])"));
  EXPECT_THAT(messages_.front(), HasSubstr(R"("workload":"web-0")"));
}

TEST_F(ResponderTest, SeveralAnswerInTheOrderOfTheirNames) {
  Start(Document("b", "{match: [{policies: [guard]}], do: {notify: {url: 'http://b'}}}") +
        Document("a", "{match: [{sources: [Hook]}], do: {quarantine: {}}}") +
        Document("c", "{match: [{policies: [other]}], do: {quarantine: {}}}"));
  PublishHook();
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
  EXPECT_EQ(last_.response(), "a");
  EXPECT_EQ(Next(), "NOTIFY DONE shop/web-0");
  EXPECT_EQ(last_.response(), "b");
  EXPECT_TRUE(NothingComes());
}

TEST_F(ResponderTest, AChangeKeepsTheCountsOfWhatStays) {
  const std::string kept = Document("kept", "{match: [{sources: [Hook]}], do: {quarantine: {}}}");
  Responder& responder = Start(kept + Document("other", "{match: [{sources: [Denial]}], do: {quarantine: {}}}"));
  PublishHook();
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
  ASSERT_TRUE(
      responder.Set(Resources(kept + Document("other", "{match: [{sources: [Hook]}], do: {quarantine: {}}}"))).ok());
  PublishHook();
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
  const Reports reports = responder.reports();
  EXPECT_EQ(reports.at("kept").counts[v1::Response::QUARANTINE][v1::Response::DONE], 2U);
  EXPECT_EQ(reports.at("other").counts[v1::Response::QUARANTINE][v1::Response::DONE], 1U);
  ASSERT_TRUE(responder.Set({}).ok());
  PublishHook();
  EXPECT_TRUE(NothingComes());
  EXPECT_EQ(hub_.subscribers(), 1U) << "without a Response nothing is followed";
  ASSERT_TRUE(responder.Set(Resources(kept)).ok());
  PublishHook();
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
}

TEST_F(ResponderTest, AnAlertHasSeverity) {
  Start(Document("r", "{match: [{sources: [KubeArmor], severity: 8}], do: {quarantine: {}}}"));
  const auto alert = [&](int severity) {
    Publish(fmt::format(R"(alert {{ type: "alert" namespace: "shop" workload: "web-0" severity: {} action: BLOCK
                        policy {{ kind: "KubeArmorPolicy" namespace: "shop" name: "files" rule: "spec.file.matchPaths[0]" }} }})",
                        severity));
  };
  alert(7);
  EXPECT_TRUE(NothingComes());
  alert(8);
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
  EXPECT_EQ(last_.cause().severity(), 8U);
  EXPECT_THAT(last_.cause().rules(), ElementsAre("spec.file.matchPaths[0]"));
}

TEST_F(ResponderTest, ADetectionHasPriorityAndTags) {
  Start(Document("r",
                 "{match: [{sources: [Rule], rules: ['Terminal *'], tags: [shell], priority: Warning}], do: "
                 "{quarantine: {}}}"));
  const auto detection = [&](const std::string& rule, const std::string& priority, const std::string& tag) {
    Publish(fmt::format(R"(detection {{ type: "detection" namespace: "shop" workload: "web-0" rule: "{}" priority: {}
                        tags: "{}" output: "a shell" }})",
                        rule, priority, tag));
  };
  detection("Terminal shell", "NOTICE", "shell");
  detection("Terminal shell", "CRITICAL", "other");
  detection("Other", "CRITICAL", "shell");
  EXPECT_TRUE(NothingComes());
  detection("Terminal shell", "CRITICAL", "shell");
  EXPECT_EQ(Next(), "QUARANTINE DONE shop/web-0");
  EXPECT_EQ(last_.cause().source(), "Rule");
  EXPECT_EQ(last_.cause().event(), "detection");
  EXPECT_EQ(last_.cause().priority(), "Critical");
  EXPECT_THAT(last_.cause().rules(), ElementsAre("Terminal shell"));
  EXPECT_THAT(last_.cause().text(), HasSubstr("a shell"));
}

}  // namespace
}  // namespace sluice::respond
