// Requests find their endpoints.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tools/serve/api.h"
#include "tools/serve/api_keys.h"

namespace llamajit::serve {

struct RouterOptions {
  ApiKeys keys;
  std::vector<std::string> origins;  // pages of these may ask; "*": of any
};

// Everything that is wrong with a request becomes an error in the form of the endpoint's API. The network's thread calls
// handle(); what takes longer than to look something up is done by `later`, elsewhere.
class Router {
 public:
  using Later = std::function<void(std::function<void()>)>;
  Router(Service& service, RouterOptions options, Later later);

  void handle(HttpRequest request, const Exchange& exchange);

 private:
  struct Route;
  static const Route* find(const HttpRequest& request);
  void serve(const Route& route, HttpRequest request, const Exchange& exchange);
  bool check_origin(const HttpRequest& request) const;
  static void allow_origin(const HttpRequest& request, HttpExchange& exchange);
  std::string check_key(const HttpRequest& request) const;

  Service& service_;
  RouterOptions options_;
  Later later_;
};

}  // namespace llamajit::serve
