#include "telemetry/event/event_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

using Filter = v1::ObserveRequest::Filter;
using ::testing::HasSubstr;

v1::Event WebToDb() {
  v1::Event event;
  v1::Flow& flow = *event.mutable_flow();
  flow.set_type("flow");
  flow.set_verdict(v1::Flow::DROPPED);
  flow.mutable_source()->set_namespace_("shop");
  flow.mutable_source()->set_workload("web");
  flow.mutable_source()->mutable_process()->set_binary("/usr/bin/curl");
  flow.mutable_destination()->set_namespace_("bank");
  flow.mutable_destination()->set_workload("db");
  flow.mutable_l4()->set_source_port(40000);
  flow.mutable_l4()->set_destination_port(5432);
  return event;
}

bool Passes(void (*set)(Filter&)) {
  Filter filter;
  set(filter);
  return Matches(filter, WebToDb());
}

TEST(EventFilter, EmptyOneMatchesEverything) {
  EXPECT_TRUE(Matches({}, WebToDb()));
  EXPECT_TRUE(CheckFilter({}).ok());
}

TEST(EventFilter, ByType) {
  EXPECT_TRUE(Passes([](Filter& f) { f.set_type("flow"); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.set_type("exec"); }));
}

TEST(EventFilter, ByVerdict) {
  EXPECT_TRUE(Passes([](Filter& f) { f.set_verdict(v1::Flow::DROPPED); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.set_verdict(v1::Flow::AUDIT); }));
}

TEST(EventFilter, ByWorkloadOfEitherEnd) {
  EXPECT_TRUE(Passes([](Filter& f) { f.set_namespace_("shop"), f.set_workload("web"); }));
  EXPECT_TRUE(Passes([](Filter& f) { f.set_namespace_("bank"), f.set_workload("db"); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.set_namespace_("bank"), f.set_workload("web"); })) << "of one end, not of both";
}

TEST(EventFilter, ByPortOfEitherEnd) {
  EXPECT_TRUE(Passes([](Filter& f) { f.set_port(40000); }));
  EXPECT_TRUE(Passes([](Filter& f) { f.set_port(5432); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.set_port(80); }));
}

TEST(EventFilter, ByProcessOfEitherEnd) {
  EXPECT_TRUE(Passes([](Filter& f) { f.set_process("/usr/bin/*"); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.set_process("/opt/*"); }));
}

TEST(EventFilter, AllConditionsHold) {
  EXPECT_TRUE(Passes([](Filter& f) { f.set_verdict(v1::Flow::DROPPED), f.set_port(5432); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.set_verdict(v1::Flow::FORWARDED), f.set_port(5432); }));
}

TEST(EventFilter, FlowWithoutPortsHasNoPort) {
  v1::Event ping = WebToDb();
  ping.mutable_flow()->mutable_l4()->Clear();
  Filter filter;
  filter.set_port(5432);
  EXPECT_FALSE(Matches(filter, ping));
}

TEST(EventFilter, LossesAreForWhoMayHaveHadThem) {
  const auto passes = [](const char* type, const char* workload, void (*set)(Filter&)) {
    v1::Event event;
    event.mutable_lost()->set_event(type);
    event.mutable_lost()->set_namespace_("shop");
    event.mutable_lost()->set_workload(workload);
    Filter filter;
    set(filter);
    return Matches(filter, event);
  };
  const auto of_web = [](Filter& f) { f.set_namespace_("shop"), f.set_workload("web"); };
  const auto execs = [](Filter& f) { f.set_type("exec"); };
  const auto dropped = [](Filter& f) { f.set_verdict(v1::Flow::DROPPED); };
  EXPECT_TRUE(passes("exec", "web", execs));
  EXPECT_FALSE(passes("flow", "web", execs));
  EXPECT_TRUE(passes("", "web", execs)) << "of any type";
  EXPECT_TRUE(passes("seed", "web", execs)) << "of no type that can be asked for";
  EXPECT_TRUE(passes("exec", "web", of_web));
  EXPECT_FALSE(passes("exec", "db", of_web));
  EXPECT_TRUE(passes("exec", "", of_web)) << "of anybody";
  EXPECT_TRUE(passes("flow", "db", of_web)) << "some may have gone to web";
  EXPECT_TRUE(passes("flow", "web", dropped));
  EXPECT_FALSE(passes("exec", "web", dropped));
  EXPECT_FALSE(passes("exec", "web", [](Filter& f) { f.set_port(80); }));
  EXPECT_FALSE(passes("fork", "web", [](Filter& f) { f.set_without_forks(true); }));
}

TEST(EventFilter, LossesOfWhatIsNotKnownAreForEverybody) {
  v1::Event event;
  event.mutable_lost()->set_count(1);
  Filter filter;
  filter.set_verdict(v1::Flow::DROPPED);
  filter.set_port(1);
  EXPECT_TRUE(Matches(filter, event));
}

v1::Event ShellIn(const char* type) {
  v1::Event event;
  v1::Exec& exec = *event.mutable_exec();
  exec.set_namespace_("shop");
  exec.set_workload("web");
  exec.set_type("exec");
  exec.mutable_process()->set_binary("/bin/sh");
  if (std::string(type) == "exec") return event;
  v1::Event other;
  EXPECT_TRUE((std::string(type) == "fork" ? static_cast<google::protobuf::Message*>(other.mutable_fork())
                                           : other.mutable_exit())
                  ->ParseFromString(exec.SerializeAsString()));
  if (other.has_fork()) other.mutable_fork()->set_type(type);
  if (other.has_exit()) other.mutable_exit()->set_type(type);
  return other;
}

TEST(EventFilter, WhatProcessesDo) {
  for (const char* type : {"exec", "fork", "exit"}) {
    const v1::Event event = ShellIn(type);
    const auto passes = [&](void (*set)(Filter&)) {
      Filter filter;
      set(filter);
      return Matches(filter, event);
    };
    EXPECT_TRUE(passes([](Filter&) {})) << type;
    EXPECT_TRUE(passes([](Filter& f) { f.set_namespace_("shop"), f.set_workload("web"); })) << type;
    EXPECT_FALSE(passes([](Filter& f) { f.set_namespace_("bank"), f.set_workload("web"); })) << type;
    EXPECT_TRUE(passes([](Filter& f) { f.set_process("/bin/*"); })) << type;
    EXPECT_FALSE(passes([](Filter& f) { f.set_process("/opt/*"); })) << type;
    EXPECT_FALSE(passes([](Filter& f) { f.set_type("flow"); })) << type;
    EXPECT_FALSE(passes([](Filter& f) { f.set_verdict(v1::Flow::DROPPED); })) << type;
    EXPECT_FALSE(passes([](Filter& f) { f.set_port(80); })) << type;
    Filter own_type;
    own_type.set_type(type);
    EXPECT_TRUE(Matches(own_type, event)) << type;
  }
}

TEST(EventFilter, ForksCanBeLeftOut) {
  Filter filter;
  filter.set_without_forks(true);
  EXPECT_FALSE(Matches(filter, ShellIn("fork")));
  EXPECT_TRUE(Matches(filter, ShellIn("exec")));
  EXPECT_TRUE(Matches(filter, WebToDb()));
  filter.set_type("fork");
  EXPECT_TRUE(Matches(filter, ShellIn("fork"))) << "asked for by name";
}

TEST(EventFilter, RefusesWhatCanMatchNothing) {
  Filter filter;
  filter.set_type("exek");
  EXPECT_THAT(Message(CheckFilter(filter)), HasSubstr("exek"));
  filter.Clear();
  filter.set_namespace_("shop");
  EXPECT_THAT(Message(CheckFilter(filter)), HasSubstr("shop/"));
  filter.Clear();
  filter.set_port(65536);
  EXPECT_THAT(Message(CheckFilter(filter)), HasSubstr("65536"));
  filter.set_port(65535);
  EXPECT_TRUE(CheckFilter(filter).ok());
}

}  // namespace
}  // namespace sluice::telemetry
