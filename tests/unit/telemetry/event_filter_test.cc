#include "telemetry/event_filter.h"

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

TEST(EventFilter, LossesAreForEverybody) {
  v1::Event event;
  event.mutable_lost()->set_count(1);
  Filter filter;
  filter.set_verdict(v1::Flow::DROPPED);
  filter.set_port(1);
  EXPECT_TRUE(Matches(filter, event));
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
