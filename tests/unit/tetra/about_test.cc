// What the agent says of itself to Tetragon's clients.
#include "base/log.h"
#include "tests/unit/tetra/tetra_world.h"

namespace sluice::tetra {
namespace {

using ::testing::HasSubstr;

class TetraAbout : public TetraFixture {
 protected:
  void SetUp() override {
    Serve();
    client_ = Client();
  }
  std::unique_ptr<Stub> client_;
};

TEST_F(TetraAbout, HealthIsWhatStatusPrints) {
  tetragon::GetHealthStatusResponse health;
  ASSERT_TRUE(Call(*client_, &Stub::GetHealth, tetragon::GetHealthStatusRequest(), &health).ok());
  ASSERT_EQ(health.health_status_size(), 1);
  EXPECT_EQ(health.health_status(0).event(), tetragon::HEALTH_STATUS_TYPE_STATUS);
  EXPECT_EQ(health.health_status(0).status(), tetragon::HEALTH_STATUS_RUNNING);
  EXPECT_EQ(health.health_status(0).details(), "running");
}

TEST_F(TetraAbout, AnAgentThatHoldsSaysSo) {
  reconcile::StateStore::State unreadable;
  unreadable.unreadable[{policy::Kind::kTracingPolicy, {"", "files"}}] = "line 3";
  ASSERT_TRUE(controller_.Restore({}, unreadable).ok());
  tetragon::GetHealthStatusResponse health;
  ASSERT_TRUE(Call(*client_, &Stub::GetHealth, tetragon::GetHealthStatusRequest(), &health).ok());
  EXPECT_EQ(health.health_status(0).status(), tetragon::HEALTH_STATUS_ERROR);
  EXPECT_THAT(health.health_status(0).details(), HasSubstr("holding: "));
}

TEST_F(TetraAbout, VersionAndInfo) {
  tetragon::GetVersionResponse version;
  ASSERT_TRUE(Call(*client_, &Stub::GetVersion, tetragon::GetVersionRequest(), &version).ok());
  EXPECT_EQ(version.version(), "sluice 1.2.3");
  tetragon::GetInfoResponse info;
  ASSERT_TRUE(Call(*client_, &Stub::GetInfo, tetragon::GetInfoRequest(), &info).ok());
  EXPECT_EQ(info.name(), "sluice");
  EXPECT_EQ(info.version(), "1.2.3");
  EXPECT_TRUE(info.has_build()) << "tetra reads it without a check";
  ASSERT_EQ(info.probes_size(), 2);
  EXPECT_EQ(info.probes(0).name(), "large");
  EXPECT_TRUE(info.probes(0).enabled().value());
  EXPECT_FALSE(info.probes(1).enabled().value());
}

TEST_F(TetraAbout, TheLogsLevelNeverHidesChanges) {
  const bool before = LogsDebug();
  const auto get = [&] {
    tetragon::GetDebugResponse reply;
    EXPECT_TRUE(Call(*client_, &Stub::GetDebug, tetragon::GetDebugRequest(), &reply).ok());
    return reply.level();
  };
  const auto set = [&](tetragon::LogLevel level) {
    tetragon::SetDebugRequest request;
    tetragon::SetDebugResponse reply;
    request.set_level(level);
    const grpc::Status status = Call(*client_, &Stub::SetDebug, request, &reply);
    return status.ok() ? tetragon::LogLevel_Name(reply.level()) : status.error_message();
  };
  EXPECT_EQ(set(tetragon::LOG_LEVEL_TRACE), "LOG_LEVEL_DEBUG");
  EXPECT_EQ(get(), tetragon::LOG_LEVEL_DEBUG);
  EXPECT_EQ(set(tetragon::LOG_LEVEL_INFO), "LOG_LEVEL_INFO");
  EXPECT_EQ(get(), tetragon::LOG_LEVEL_INFO);
  EXPECT_THAT(set(tetragon::LOG_LEVEL_WARN), HasSubstr("LOG_LEVEL_WARN: the log has the level INFO at least"));
  EXPECT_EQ(get(), tetragon::LOG_LEVEL_INFO);
  EXPECT_THAT(log(), HasSubstr("set-log-level: LOG_LEVEL_DEBUG"));
  SetLogsDebug(before);
}

TEST_F(TetraAbout, WhatIsNotDoneIsRefusedWithTheReason) {
  const auto check = [](const grpc::Status& status, const char* why) {
    EXPECT_EQ(status.error_code(), Code::UNIMPLEMENTED);
    EXPECT_THAT(status.error_message(), HasSubstr(why));
  };
  tetragon::RuntimeHookResponse hooked;
  check(Call(*client_, &Stub::RuntimeHook, tetragon::RuntimeHookRequest(), &hooked), "CNI plugin");
  tetragon::ListSensorsResponse sensors;
  check(Call(*client_, &Stub::ListSensors, tetragon::ListSensorsRequest(), &sensors), "no sensors");
}

}  // namespace
}  // namespace sluice::tetra
