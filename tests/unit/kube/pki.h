// Certificates for tests, made when they are needed. All in PEM.
#pragma once

#include <string>

namespace sluice::kube {

struct Identity {
  std::string certificate;
  std::string key;
};

Identity MakeCa(const std::string& name);
// For a server on 127.0.0.1 and localhost and `dns_name`, or a client; signed by `ca`.
Identity MakeCertificate(const Identity& ca, const std::string& dns_name = "localhost");

}  // namespace sluice::kube
