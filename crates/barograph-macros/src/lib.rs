//! The attribute [`macro@profile`], which the crate `barograph` shows to its users. What it means is told there.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::{Error, ItemFn, ReturnType, Type, parse_macro_input};

/// Makes a span of every call of a function.
#[proc_macro_attribute]
pub fn profile(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    expand(arguments.into(), function).unwrap_or_else(Error::into_compile_error).into()
}

fn expand(arguments: TokenStream, mut function: ItemFn) -> Result<TokenStream, Error> {
    if let Some(constant) = &function.sig.constness {
        return Err(Error::new_spanned(constant, "a function that runs while the program is compiled can't be profiled"));
    }
    let (name, attributes) = split(arguments, &function);
    let what = quote!(#name, #attributes);
    // What the body returns is said to it, where that can be written down: without that, `?` could not tell into which error to turn one.
    let told = match &function.sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, returned) if names_an_unnamed_type(returned) => quote!(_),
        ReturnType::Type(_, returned) => quote!(#returned),
    };
    let fails = matches!(&function.sig.output, ReturnType::Type(_, returned) if is_result(returned));
    let body = &function.block;
    let body: TokenStream = match (function.sig.asyncness.is_some(), fails) {
        (false, false) => quote!({ let _span = ::barograph::span!(#what); #body }),
        (false, true) => quote!({
            let mut span = ::barograph::span!(#what);
            let result = ::barograph::macro_support::call::<#told, _>(move || #body);
            if span.id().is_some() && let ::core::option::Option::Some(why) = ::barograph::why_it_failed!(&result) {
                span.fail(why);
            }
            result
        }),
        (true, false) => quote!({
            ::barograph::task!(#what).run(::barograph::macro_support::future::<#told, _>(async move #body)).await
        }),
        (true, true) => quote!({
            let future = ::barograph::macro_support::future::<#told, _>(async move #body);
            ::barograph::task!(#what).run_and_judge(future, |result| ::barograph::why_it_failed!(result)).await
        }),
    };
    *function.block = syn::parse2(body)?;
    Ok(quote!(#function))
}

/// The name of the span, which stands first or is that of the function, and the attributes that follow.
fn split(arguments: TokenStream, function: &ItemFn) -> (TokenStream, TokenStream) {
    let mut rest = arguments.clone().into_iter();
    match rest.next() {
        Some(TokenTree::Literal(name)) if !matches!(rest.clone().next(), Some(TokenTree::Punct(mark)) if mark.as_char() == '=') => {
            // The comma, if there is one.
            let _ = rest.next();
            (quote!(#name), rest.collect())
        }
        _ => {
            let name = function.sig.ident.to_string();
            let name = name.trim_start_matches("r#");
            (quote!(#name), arguments)
        }
    }
}

/// Whether this is written as some `Result`: `Result<T, E>`, `io::Result<T>`, `anyhow::Result<T>`.
fn is_result(returned: &Type) -> bool {
    match returned {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Result"),
        Type::Paren(inner) => is_result(&inner.elem),
        Type::Group(inner) => is_result(&inner.elem),
        _ => false,
    }
}

/// Whether `impl Trait`, which has no name, is part of it.
fn names_an_unnamed_type(returned: &Type) -> bool {
    fn any(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(word) => word == "impl",
            TokenTree::Group(group) => any(group.stream()),
            _ => false,
        })
    }
    any(quote!(#returned))
}
