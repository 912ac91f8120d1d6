// Starts Swagger UI on our own document; a file, because the page allows no inline script.
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", validatorUrl: null });
