// Events to a collector that is well, away, slow, or answers nonsense.
#include "ctrl/otlp/otlp_logs.h"

#include <gmock/gmock.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <thread>

#include "tests/unit/otlp/events.h"
#include "tests/unit/otlp/otlp_collector.h"

namespace sluice::otlp {
namespace {

using namespace std::chrono_literals;
using telemetry::EventHub;
using telemetry::OtlpNumbers;
using test::DeniedFlow;
using test::Eventually;
using test::ExecOf;
using test::OtlpCollector;
using testing::HasSubstr;

// An answer that waits until it is let go.
class Gate {
 public:
  void Pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void AwaitOne() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ != 0; });
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool open_ = false;
};

class OtlpLogsTest : public testing::Test {
 protected:
  ~OtlpLogsTest() override { hub_.Close(); }
  std::unique_ptr<OtlpLogs> Follow(const std::string& endpoint, OtlpLogs::Options options = {}) {
    auto sender = OtlpSender::Create({.endpoint = endpoint}, timeout_);
    EXPECT_TRUE(sender.ok()) << sender.status();
    options.resource = {.node = "node-1", .version = "1.2.3"};
    if (options.kinds.empty()) options.kinds = {"flow", "exec"};
    if (options.max_wait == 1000ms) options.max_wait = 10ms;
    options.pauses = pauses_;
    auto logs = OtlpLogs::Start(std::move(options), *std::move(sender), &hub_);
    EXPECT_TRUE(logs.ok()) << logs.status();
    return logs.ok() ? *std::move(logs) : nullptr;
  }
  static std::string Endpoint(const OtlpCollector& collector) { return "http://127.0.0.1:" + collector.port(); }
  void Publish(int count, const std::string& workload = "web-0") {
    for (int i = 0; i < count; ++i) hub_.Publish(ExecOf(workload, "/bin/" + std::to_string(i)));
  }

  std::chrono::milliseconds timeout_{2000};
  OtlpPauses pauses_{.first = 10ms, .longest = 50ms, .give_up = 60s};
  EventHub hub_{{.node = "node-1", .queue_capacity = 64}, [](bool) {}};
};

TEST_F(OtlpLogsTest, ADenialArrivesAsCollectorsReadIt) {
  OtlpCollector collector({.address = "127.0.0.1:0"});
  const auto logs = Follow(Endpoint(collector));
  hub_.Publish(DeniedFlow());
  ASSERT_TRUE(Eventually([&] { return logs->Numbers().sent == 1; }));
  ASSERT_EQ(collector.Logs().size(), 1U);
  const OtlpCollector::Log log = collector.Logs().front();
  EXPECT_EQ(log.event, "sluice.flow");
  EXPECT_EQ(log.time_ns, 1'772'600'767'123'456'789U);
  EXPECT_GT(log.observed_ns, log.time_ns);
  EXPECT_EQ(log.severity, 13U);
  EXPECT_EQ(log.severity_text, "WARN");
  EXPECT_THAT(log.body, HasSubstr("shop/web-0:40112"));
  EXPECT_EQ(log.attributes.at("process.executable.path"), "/usr/bin/psql");
  EXPECT_EQ(log.attributes.at("process.pid"), "4242");
  EXPECT_EQ(log.attributes.at("process.command_args"), "/usr/bin/psql -h db");
  EXPECT_EQ(log.attributes.at("sluice.flow.reply"), "false");
  EXPECT_EQ(log.resource.at("service.name"), "sluice");
  EXPECT_EQ(log.resource.at("host.name"), "node-1");
  EXPECT_EQ(log.scope, "sluice.dev/sluiced");
}

TEST_F(OtlpLogsTest, OnlyTheKindsAskedForAreSent) {
  const auto matches = [](const std::vector<std::string>& kinds, const v1::Event& event) {
    const auto filter = FilterOf(kinds);
    EXPECT_TRUE(filter.ok()) << filter.status();
    return filter.ok() && filter->Matches(event);
  };
  v1::Event denied = *DeniedFlow(), passed = denied, audited = denied, fork, lost;
  passed.mutable_flow()->set_verdict(v1::Flow::FORWARDED);
  audited.mutable_flow()->set_verdict(v1::Flow::AUDIT);
  fork.mutable_fork()->set_type("fork");
  const telemetry::EventPtr exec = ExecOf("web-0", "/bin/a");
  EXPECT_TRUE(matches({"denied"}, denied));
  EXPECT_TRUE(matches({"denied"}, audited));
  EXPECT_FALSE(matches({"denied"}, passed));
  EXPECT_FALSE(matches({"denied"}, *exec));
  EXPECT_TRUE(matches({"denied", "exec"}, *exec));
  EXPECT_FALSE(matches({"denied", "exec"}, passed));
  EXPECT_TRUE(matches({"denied", "flow"}, passed));
  EXPECT_FALSE(matches({"exec"}, denied));
  EXPECT_FALSE(matches({"exec"}, fork));
  EXPECT_TRUE(matches({"fork"}, fork));
  EXPECT_THAT(Message(FilterOf({"flows"}).status()), HasSubstr("flows: expected denied, flow, exec"));
}

TEST_F(OtlpLogsTest, ACollectorThatComesLaterGetsAll) {
  const std::string path = "/tmp/sluice-otlp-" + std::to_string(getpid()) + ".sock";
  const auto logs = Follow("unix://" + path);
  Publish(30);
  ASSERT_TRUE(Eventually([&] { return logs->Numbers().failures >= 2; }));
  EXPECT_EQ(logs->Numbers().sent, 0U);
  {
    OtlpCollector collector({.address = "unix://" + path});
    ASSERT_TRUE(Eventually([&] { return logs->Numbers().sent == 30; }));
    EXPECT_EQ(collector.Logs().size(), 30U);
  }
  Publish(1);
  const std::uint64_t before = logs->Numbers().failures;
  ASSERT_TRUE(Eventually([&] { return logs->Numbers().failures > before; })) << "it has gone";
  OtlpCollector collector({.address = "unix://" + path});
  ASSERT_TRUE(Eventually([&] { return logs->Numbers().sent == 31; }));
  unlink(path.c_str());
}

TEST_F(OtlpLogsTest, ASlowCollectorDelaysNobodyAndCostsWhatHasNoRoom) {
  Gate gate;
  timeout_ = 30s;
  OtlpCollector collector({.address = "127.0.0.1:0", .behave = [&](const auto&) {
                             gate.Pass();
                             return OtlpCollector::Answer{};
                           }});
  const auto logs = Follow(Endpoint(collector), {.max_records = 8});
  hub_.Publish(ExecOf("quiet", "/bin/first"));
  gate.AwaitOne();
  const auto begun = std::chrono::steady_clock::now();
  Publish(2000, "flood");
  hub_.Publish(ExecOf("quiet", "/bin/second"));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s) << "nobody waits for the collector";
  gate.Open();
  ASSERT_TRUE(Eventually([&] {
    const OtlpNumbers now = logs->Numbers();
    return now.no_room != 0 && now.sent >= 66;
  }));
  // Each of the 2,002 was sent or is in a record of those that were lost.
  std::uint64_t execs = 0, told = 0, quiet = 0;
  ASSERT_TRUE(Eventually([&] {
    execs = told = quiet = 0;
    for (const OtlpCollector::Log& log : collector.Logs()) {
      execs += log.event == "sluice.exec";
      quiet += log.event == "sluice.exec" && log.attributes.at("k8s.pod.name") == "quiet";
      if (log.event == "sluice.lost") told += std::stoull(log.attributes.at("sluice.lost.count"));
    }
    return execs + told == 2002;
  })) << execs
      << " sent, " << told << " told as lost";
  EXPECT_EQ(quiet, 2U) << "a flood of one workload does not cost another one its records";
  EXPECT_EQ(logs->Numbers().no_room, told);
}

TEST_F(OtlpLogsTest, WhatIsRefusedIsNotSentAgain) {
  std::atomic<int> calls = 0;
  OtlpCollector collector({.address = "127.0.0.1:0", .behave = [&](const auto&) {
                             const bool refuses = calls++ == 0;
                             return OtlpCollector::Answer{
                                 .status =
                                     refuses ? grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no") : grpc::Status()};
                           }});
  const auto logs = Follow(Endpoint(collector));
  Publish(1);
  ASSERT_TRUE(Eventually([&] { return logs->Numbers().refused == 1; }));
  Publish(2);
  ASSERT_TRUE(Eventually([&] { return logs->Numbers().sent == 2; }));
  EXPECT_EQ(logs->Numbers().failures, 1U);
}

TEST_F(OtlpLogsTest, ThePauseThatTheCollectorAsksForIsKept) {
  // google.rpc.Status {details: Any {type_url, value: RetryInfo {retry_delay {nanos: 400000000}}}}
  const std::string url = "type.googleapis.com/google.rpc.RetryInfo";
  const std::string info("\x0a\x06\x10\x80\x88\xde\xbe\x01", 8);
  const std::string any = "\x0a" + std::string(1, static_cast<char>(url.size())) + url + "\x12" +
                          std::string(1, static_cast<char>(info.size())) + info;
  const std::string details = "\x1a" + std::string(1, static_cast<char>(any.size())) + any;
  std::mutex mutex;
  std::vector<std::chrono::steady_clock::time_point> times;
  OtlpCollector collector({.address = "127.0.0.1:0", .behave = [&](const auto&) {
                             const std::lock_guard lock(mutex);
                             times.push_back(std::chrono::steady_clock::now());
                             return OtlpCollector::Answer{
                                 .status = times.size() == 1
                                               ? grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "full", details)
                                               : grpc::Status()};
                           }});
  const auto logs = Follow(Endpoint(collector));
  Publish(1);
  ASSERT_TRUE(Eventually([&] { return logs->Numbers().sent == 1; }));
  const std::lock_guard lock(mutex);
  ASSERT_EQ(times.size(), 2U);
  EXPECT_GE(times[1] - times[0], 400ms);
}

TEST_F(OtlpLogsTest, ABatchIsGivenUpInTheEnd) {
  pauses_.give_up = 100ms;
  OtlpCollector collector({.address = "127.0.0.1:0", .behave = [](const auto& request) {
                             const bool refuses = request.body.find("/bin/0") != std::string::npos;
                             return OtlpCollector::Answer{
                                 .status =
                                     refuses ? grpc::Status(grpc::StatusCode::ABORTED, "not now") : grpc::Status()};
                           }});
  const auto logs = Follow(Endpoint(collector));
  Publish(1);
  ASSERT_TRUE(Eventually([&] { return logs->Numbers().given_up == 1; }));
  hub_.Publish(ExecOf("web-0", "/bin/later"));
  EXPECT_TRUE(Eventually([&] { return logs->Numbers().sent == 1; })) << "it holds up no other one";
}

TEST_F(OtlpLogsTest, BatchesAreBounded) {
  OtlpCollector collector({.address = "127.0.0.1:0"});
  const auto logs = Follow(Endpoint(collector), {.max_records = 5, .max_wait = 20s});
  Publish(10);
  ASSERT_TRUE(Eventually([&] { return logs->Numbers().sent == 10; })) << "a full batch does not wait";
  EXPECT_EQ(collector.requests().size(), 2U);
  Publish(4);
  hub_.Close();
  ASSERT_TRUE(Eventually([&] { return logs->Numbers().sent == 14; })) << "the end does not wait either";
}

TEST_F(OtlpLogsTest, TheEndTakesBoundedTime) {
  Gate gate;
  timeout_ = 60s;
  OtlpCollector collector({.address = "127.0.0.1:0", .behave = [&](const auto&) {
                             gate.Pass();
                             return OtlpCollector::Answer{};
                           }});
  auto logs = Follow(Endpoint(collector), {.at_end = 100ms});
  Publish(1);
  gate.AwaitOne();
  const auto begun = std::chrono::steady_clock::now();
  logs.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
  gate.Open();
}

TEST_F(OtlpLogsTest, AServerThatIsNoCollectorIsTriedAgain) {
  // A listener that answers nonsense and goes.
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{.sun_family = AF_UNIX};
  const std::string path = "/tmp/sluice-nonsense-" + std::to_string(getpid()) + ".sock";
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener, 8), 0);
  std::thread nonsense([&] {
    for (int peer = accept(listener, nullptr, nullptr); peer >= 0; peer = accept(listener, nullptr, nullptr)) {
      (void)write(peer, "HTTP/1.1 418 teapot\r\n\r\n", 23);
      close(peer);
    }
  });
  timeout_ = 500ms;
  auto logs = Follow("unix://" + path);
  Publish(1);
  EXPECT_TRUE(Eventually([&] { return logs->Numbers().failures >= 2; }));
  EXPECT_EQ(logs->Numbers().refused, 0U);
  logs.reset();
  shutdown(listener, SHUT_RDWR);
  close(listener);
  nonsense.join();
  unlink(path.c_str());
}

}  // namespace
}  // namespace sluice::otlp
